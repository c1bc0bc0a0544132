import type { Applier } from '../engine/applier.ts'
import { setTransferred } from '../engine/peer-leases.ts'
import type { Bus } from './bus.ts'
import type { Log, NodeCounters } from './messages.ts'
import { LEASE_MARGIN_SECONDS } from './remote-sockets.ts'
import { SyncKind } from './sync-chunk.ts'
import { fetchSince } from './sync-fetch.ts'

export type TransfersOptions = {
  readonly bus: Bus
  readonly applier: Applier
  readonly nowSeconds: () => number
  readonly log: Log
  readonly subjectOf: (node: string) => string
  readonly isUp: (node: string) => boolean
  readonly beforeMerge: () => void
  /** Adopts the connection in a delta of the node; false if it is not to be applied. */
  readonly adopt: (node: string, bytes: Buffer, at: number) => boolean
  /** The lease of the peers that the node owns; 0 while it is not up. */
  readonly leaseOf: (node: string) => number
  readonly counters: NodeCounters
}

/** The transfers that this node needs from others: one transfer after the other. */
export class Transfers {
  readonly #options: TransfersOptions
  /** Unix second for each node. */
  readonly #wanted = new Map<string, number>()
  /** Nodes whose WebSocket peers are wanted. */
  readonly #wantedSockets = new Set<string>()
  #isRunning = false

  constructor(options: TransfersOptions) {
    this.#options = options
  }

  /** Fetches what `node` knows since `since`, at once or when it can be reached. */
  want(node: string, since: number): void {
    const known = this.#wanted.get(node)
    this.#wanted.set(node, known === undefined ? since : Math.min(known, since))
    this.resume()
  }

  /** Fetches the WebSocket peers that are connected to `node`. */
  wantSockets(node: string): void {
    this.#wantedSockets.add(node)
    this.resume()
  }

  /** Goes on with what could not be fetched. */
  resume(): void {
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    const isReachable = (node: string) => this.#options.bus.isUp && this.#options.isUp(node)
    let isDone = true
    for (const node of this.#wantedSockets) {
      if (!isDone || !isReachable(node)) continue
      this.#wantedSockets.delete(node)
      isDone = await this.fetch(node, 0, SyncKind.sockets)
      if (!isDone) this.#wantedSockets.add(node)
    }
    for (const [node, since] of this.#wanted) {
      if (!isDone || !isReachable(node)) continue
      this.#wanted.delete(node)
      isDone = await this.fetch(node, since)
      if (!isDone) this.want(node, since)
    }
    this.#isRunning = false
  }

  /** Resolves to whether the transfer was complete. */
  async fetch(node: string, since: number, kind: SyncKind = SyncKind.all): Promise<boolean> {
    const { adopt, counters, log, subjectOf } = this.#options
    const begun = performance.now()
    // The owners of peers in a transfer are unknown. They send all of their peers again meanwhile.
    const isWhole = kind === SyncKind.join || since === 0
    if (isWhole) this.#transferred()
    try {
      const { bytes, imported } = await fetchSince({
        ...this.#options,
        node,
        subject: subjectOf(node),
        kind,
        since,
        adopt: (bytes, at) => adopt(node, bytes, at),
        leaseOf: () => this.#options.leaseOf(node),
      })
      counters.transfers++
      if (isWhole) this.#transferred()
      const { expired, newer, peers, refused, torrents } = imported
      const duration_ms = Math.round(performance.now() - begun)
      if (kind === SyncKind.sockets) {
        log('info', { node, bytes, duration_ms }, 'fetched the WebSocket peers of a node')
        return true
      }
      log(
        'info',
        { node, since, bytes, torrents, peers, newer, expired, refused, duration_ms },
        'fetched the swarms of a node',
      )
      return true
    } catch (error) {
      counters.failedTransfers++
      const reason = (error as Error).message
      log('warn', { node, reason }, 'could not fetch the swarms of a node; will try again')
      return false
    }
  }

  #transferred(): void {
    const { applier, nowSeconds } = this.#options
    setTransferred(applier.engine.leases, nowSeconds() + LEASE_MARGIN_SECONDS)
  }
}
