import type { Bus } from './bus.ts'
import { HEARTBEAT_MILLIS, type Heartbeat, type Member, type Members } from './members.ts'
import type { Log } from './messages.ts'
import { SyncKind } from './sync-chunk.ts'
import type { Transfers } from './transfers.ts'

export type JoiningOptions = {
  readonly bus: Bus
  readonly name: string
  /** Unix second at which this node started. */
  readonly epoch: number
  /** Longest wait for other nodes. */
  readonly joinSeconds: number
  readonly members: Members
  readonly transfers: Transfers
  readonly log: Log
}

/** Time in which nodes that are there answer the first heartbeat. */
const SETTLE_MILLIS = 1500
/** Time without a heartbeat, longer than their interval, after which this node is the first. */
const ALONE_MILLIS = SETTLE_MILLIS + HEARTBEAT_MILLIS
/** Seconds before a start from which on announces may have been missed. */
const MARGIN_SECONDS = 15

/**
 * The way of a node into the swarm: it fetches the swarms of a node that has joined, or, where
 * there is none, is the first one. Until then it is not ready, but answers announces and reports
 * them to the others.
 */
export class Joining {
  readonly #options: JoiningOptions
  readonly #begunMillis = performance.now()
  #connectedMillis = Number.POSITIVE_INFINITY
  #since: number | undefined
  #isFetching = false
  isJoined = false
  isAlone = false

  constructor(options: JoiningOptions) {
    this.#options = options
  }

  /** The last snapshot is restored: `since` is its second, 0 where there is none. */
  restored(since: number): void {
    this.#since = since === 0 ? 0 : Math.max(1, since - MARGIN_SECONDS)
    this.check()
  }

  connected(): void {
    if (this.#connectedMillis === Number.POSITIVE_INFINITY)
      this.#connectedMillis = performance.now()
  }

  /** Joins if it is time to. */
  check(): void {
    if (this.isJoined || this.#since === undefined || this.#isFetching) return
    const { bus, joinSeconds, log } = this.#options
    const now = performance.now()
    const waited = now - this.#begunMillis > joinSeconds * 1000
    const connected = now - this.#connectedMillis
    if (connected >= SETTLE_MILLIS) {
      const giver = this.#giver()
      if (giver) {
        void this.#joinFrom(giver.name, inClockOf(giver, this.#since))
        return
      }
      if (connected >= ALONE_MILLIS && this.#isFirst()) {
        this.#joinAlone('joined as the first node')
        return
      }
    }
    if (!waited) return
    log('warn', { waited_s: joinSeconds, connected: bus.isUp }, 'no node sent its swarms in time')
    this.#joinAlone('joined without the swarms of other nodes')
  }

  #joinAlone(message: string): void {
    this.isJoined = true
    this.isAlone = true
    this.#options.log('info', {}, message)
    for (const member of this.#options.members.up()) {
      if (member.heartbeat) this.catchUp(member, member.heartbeat)
    }
  }

  /** The node with the shortest lag of those that have joined. */
  #giver(): Member | undefined {
    const joined = this.#options.members.up().filter(({ heartbeat }) => heartbeat?.joined)
    const order = (a: Member, b: Member) =>
      a.lagSeconds - b.lagSeconds || (a.heartbeat?.epoch ?? 0) - (b.heartbeat?.epoch ?? 0)
    return joined.sort(order)[0]
  }

  /** Of nodes that start together, the oldest one is the first. */
  #isFirst(): boolean {
    const { epoch, members, name } = this.#options
    return members.up().every(({ heartbeat }) => {
      if (!heartbeat) return true
      return epoch < heartbeat.epoch || (epoch === heartbeat.epoch && name < heartbeat.name)
    })
  }

  async #joinFrom(giver: string, since: number): Promise<void> {
    const { log, members, transfers } = this.#options
    this.#isFetching = true
    const isDone = await transfers.fetch(giver, since, SyncKind.join)
    this.#isFetching = false
    if (!isDone || this.isJoined) return
    this.isJoined = true
    const member = members.get(giver)
    if (member?.heartbeat) member.syncedEpoch = member.heartbeat.epoch
    log('info', { from: giver }, 'joined')
    for (const each of members.up()) if (each.heartbeat) this.catchUp(each, each.heartbeat)
  }

  /** Fetches what a node received before this one subscribed to it. */
  catchUp(member: Member, { alone, epoch, joined }: Heartbeat): void {
    if (!this.isJoined || !joined || member.syncedEpoch === epoch) return
    member.syncedEpoch = epoch
    const { epoch: own, transfers } = this.#options
    const isWhole = alone || (this.isAlone && epoch <= own)
    const ownEpoch = inClockOf(member, own)
    const since = Math.max(1, Math.max(epoch, ownEpoch) - MARGIN_SECONDS)
    transfers.want(member.name, isWhole ? 0 : since)
  }
}

/** A second of this node's clock, or an earlier one, in the clock of a node that may be behind. */
function inClockOf({ clockSeconds }: Member, second: number): number {
  return second === 0 ? 0 : Math.max(1, second + Math.min(0, Math.floor(clockSeconds)))
}
