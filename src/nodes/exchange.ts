import { type Applier, createApplier } from '../engine/applier.ts'
import { applyDelta } from '../engine/apply.ts'
import type { DeltaRing } from '../engine/delta-ring.ts'
import type { Engine } from '../engine/engine.ts'
import { beginLeases, leaseOf, setLeaseTimeout, setTransferred } from '../engine/peer-leases.ts'
import { sumFamilies, totals } from '../engine/totals.ts'
import type { Relayed } from '../frontends/websocket/relay.ts'
import { deltaBytes } from '../protocol/delta-record.ts'
import { BATCH_HEAD_BYTES, type BatchHead, readBatch } from './batch.ts'
import type { Bus } from './bus.ts'
import { Changes } from './changes.ts'
import { Joining } from './joining.ts'
import { type Heartbeat, type Member, Members, readHeartbeat } from './members.ts'
import { type Log, NODE_COUNTERS, type NodeCounters, type NodesState } from './messages.ts'
import { Outbox } from './outbox.ts'
import { adoptConnection, LEASE_MARGIN_SECONDS, RemoteSockets, type Run } from './remote-sockets.ts'
import { SocketRelay } from './socket-relay.ts'
import { SyncSource } from './sync-source.ts'
import { Transfers } from './transfers.ts'

export type ExchangeOptions = {
  readonly bus: Bus
  /** An engine of this thread alone, without a ring. */
  readonly engine: Engine
  readonly rings: readonly DeltaRing[]
  readonly cluster: string
  readonly name: string
  readonly version: string
  readonly backlogBytesMax: number
  readonly joinSeconds: number
  /** Announces that change nothing are sent only now and then (engine/tables/lease.ts). */
  readonly leases: boolean
  readonly nowSeconds: () => number
  readonly log: Log
  /** Passes on an administrative change of another node. */
  readonly onChange: (change: Uint8Array) => void
  /** Administrative changes may have been missed. */
  readonly onMissed: () => void
  /** Passes an offer or answer to a worker of this node. Returns false when it is dropped. */
  readonly deliver: (message: Relayed) => boolean
}

/** Seconds that clocks may differ before it is logged. */
const CLOCK_SECONDS_MAX = 2

/** Keeps the tables of this node and those of the others equal. */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #epoch: number
  readonly #id = Math.floor(Math.random() * 2 ** 32)
  readonly #applier: Applier
  readonly #outbox: Outbox
  readonly #members = new Members()
  readonly #transfers: Transfers
  readonly #joining: Joining
  readonly #changes: Changes
  readonly #sockets: RemoteSockets
  readonly #relay: SocketRelay
  readonly #counters = Object.fromEntries(NODE_COUNTERS.map(name => [name, 0])) as NodeCounters
  readonly #warned = new Set<string>()
  #losses = 0
  #leaseGeneration = 0
  #announces = 0
  #rate = 0
  #rateMillis = performance.now()
  digest = ''

  constructor(options: ExchangeOptions) {
    this.#options = options
    const { backlogBytesMax, bus, engine, joinSeconds, name, nowSeconds, rings } = options
    this.#epoch = nowSeconds()
    this.#applier = createApplier(engine, name)
    this.#sockets = new RemoteSockets(engine, nowSeconds)
    // Other nodes know the peers of a snapshot from the last run of this node, which has ended.
    setTransferred(engine.leases, this.#epoch + LEASE_MARGIN_SECONDS)
    this.rulesChanged(this.digest)
    this.#renewLeases()
    const swarm = this.#subject(`swarm.0.${name}`)
    this.#outbox = new Outbox({
      rings,
      applier: this.#applier,
      epoch: this.#epoch,
      nowSeconds,
      backlogBytesMax,
      send: batch => bus.publish(swarm, batch),
    })
    this.#applier.readStops = () => this.#outbox.readStops()
    this.#transfers = new Transfers({
      ...options,
      applier: this.#applier,
      subjectOf: node => this.#subject(`sync.${node}`),
      isUp: node => this.#members.get(node)?.isUp === true,
      beforeMerge: () => this.#outbox.drain(),
      adopt: (node, bytes, at) => adoptConnection(bytes, at, this.#runOf(node)),
      leaseOf: node => leaseOfRun(this.#runOf(node)),
      counters: this.#counters,
    })
    this.#joining = new Joining({
      ...options,
      epoch: this.#epoch,
      joinSeconds,
      members: this.#members,
      transfers: this.#transfers,
    })
    this.#changes = new Changes(this.#epoch, options.onChange, options.onMissed)
    this.#relay = new SocketRelay({
      ...options,
      epoch: this.#epoch,
      sockets: this.#sockets,
      runOf: (node, epoch) => {
        const run = this.#runOf(node)
        return run?.epoch === epoch ? run : undefined
      },
      subjectOf: node => this.#subject(`relay.${node}`),
      counters: this.#counters,
    })
    this.#listen(new SyncSource(this.#applier, nowSeconds))
  }

  #subject(rest: string): string {
    return `muster.${this.#options.cluster}.${rest}`
  }

  #listen(source: SyncSource): void {
    const { bus, name } = this.#options
    bus.subscribe(this.#subject('swarm.*.*'), (subject, data) => this.#onBatch(subject, data))
    bus.subscribe(this.#subject('here.*'), (_, data) => this.#onHeartbeat(data))
    bus.subscribe(this.#subject('admin'), (_, data) => this.#changes.receive(data, this.#members))
    bus.subscribe(this.#subject(`relay.${name}`), (_, data) => this.#relay.receive(data))
    bus.respond(this.#subject(`sync.${name}`), data => source.answer(data))
  }

  /** The present run of a node, if it is up. */
  #runOf(node: string): Run | undefined {
    const member = this.#members.get(node)
    const epoch = member?.isUp ? member.heartbeat?.epoch : undefined
    return epoch === undefined ? undefined : this.#sockets.runOf(node, epoch)
  }

  /** The last snapshot is restored. */
  restored(since: number): void {
    this.#joining.restored(since)
  }

  /** A server is connected, perhaps again. */
  connected(): void {
    this.#counters.connections++
    this.beat()
    this.#outbox.flush()
    this.#joining.connected()
    if (this.#counters.connections > 1) this.#changes.reconnected()
  }

  /** Sends the announces that this node received. */
  flush(): void {
    this.#outbox.flush()
  }

  /** Relays an offer or answer of a worker of this node to another node. */
  relay(message: Relayed): void {
    this.#relay.send(message)
  }

  publishChange(change: Uint8Array): void {
    this.#options.bus.publish(
      this.#subject('admin'),
      this.#changes.wrap(this.#options.name, change),
    )
  }

  /** Sends a heartbeat, and looks after the other nodes. */
  beat(): void {
    const { bus, log, name } = this.#options
    this.#measure()
    bus.publish(this.#subject(`here.${name}`), Buffer.from(JSON.stringify(this.#heartbeat())))
    for (const member of this.#members.takeSilent(performance.now())) {
      const message = 'a node is silent; its WebSocket peers are removed, others time out'
      log('warn', { node: member.name }, message)
      this.#lose(member.name)
    }
    this.#joining.check()
    this.#transfers.resume()
  }

  #measure(): void {
    const { announces } = this.#outbox
    const now = performance.now()
    const seconds = (now - this.#rateMillis) / 1000
    if (seconds < 1) return
    this.#rate = (announces - this.#announces) / seconds
    this.#announces = announces
    this.#rateMillis = now
  }

  #heartbeat(): Heartbeat {
    const { engine, name, version } = this.#options
    const { peers, torrents } = totals(engine)
    return {
      name,
      epoch: this.#epoch,
      id: this.#id,
      version,
      sequence: this.#outbox.sentSequence,
      changes: this.#changes.sent,
      millis: Date.now(),
      torrents,
      peers: sumFamilies(peers),
      announces: this.#outbox.announces,
      joined: this.#joining.isJoined,
      alone: this.#joining.isAlone,
      settings: this.digest,
      relays: true,
      losses: this.#losses,
    }
  }

  #onHeartbeat(data: Buffer): void {
    const heartbeat = readHeartbeat(data)
    const { log, name } = this.#options
    if (!heartbeat) {
      this.#warnOnce('heartbeat', {}, 'a node sends heartbeats of another version')
      return
    }
    if (heartbeat.name === name) {
      const message = 'another node has the name of this one; give each node its own nodes.name'
      this.#warnOnce(`name ${heartbeat.id}`, { name }, message, 'error')
      return
    }
    const member = this.#members.of(heartbeat.name)
    if (!member) return
    const losses = member.heartbeat?.losses
    const isBack = this.#members.note(member, heartbeat, performance.now())
    if (isBack || losses !== heartbeat.losses) this.#renewLeases()
    if (isBack) {
      // Peers that left while it was silent, or before it was restarted, must not stay.
      this.#lose(member.name)
      if (heartbeat.relays) this.#transfers.wantSockets(member.name)
      log('info', { node: member.name, version: heartbeat.version }, 'a node is up')
      // It learns of this node at once.
      this.beat()
    }
    this.#checkHeartbeat(member, heartbeat)
    this.#joining.check()
    this.#joining.catchUp(member, heartbeat)
    this.#checkSequence(member, heartbeat)
    this.#changes.compare(member, heartbeat)
  }

  /** Ends the run of a node whose announces may have been missed. */
  #lose(node: string): void {
    this.#losses++
    this.#sockets.forget(node)
  }

  /** Sends the next announce of each peer: another node may not have the last one. */
  #renewLeases(): void {
    const { engine, leases, rings } = this.#options
    const withCounts = rings.some(ring => ring.withCounts)
    beginLeases(engine.leases, this.#leaseGeneration++, leases && !withCounts)
  }

  /** The settings of the engine, and their digest, have changed. */
  rulesChanged(digest: string): void {
    const { leases, settings } = this.#options.engine
    this.digest = digest
    setLeaseTimeout(leases, settings.peersTimeout)
  }

  #checkHeartbeat({ clockSeconds, name: node }: Member, { id, settings }: Heartbeat): void {
    if (Math.abs(clockSeconds) > CLOCK_SECONDS_MAX) {
      const seconds = Math.round(clockSeconds)
      this.#warnOnce(`clock ${id}`, { node, seconds }, 'the clock of a node differs; run NTP')
    }
    if (settings !== this.digest) {
      const message =
        'a node has other settings of [tracker_config], [limits] or [accounting]; they should be the same'
      this.#warnOnce(`settings ${id} ${settings}`, { node }, message)
    }
  }

  /** A batch that came before the heartbeat on the same connection is either here or lost. */
  #checkSequence(member: Member, { epoch, sequence }: Heartbeat): void {
    const { stream } = member
    if (!stream || stream.epoch !== epoch) {
      member.stream = { epoch, sequence, base: this.#options.nowSeconds() }
    } else if (((sequence - stream.sequence) | 0) > 0) {
      this.#noteGap(member, stream.base)
      stream.sequence = sequence
    }
  }

  #noteGap(member: Member, base: number): void {
    this.#counters.gaps++
    this.#transfers.want(member.name, Math.max(1, base - GAP_SECONDS))
  }

  #onBatch(subject: string, data: Buffer): void {
    const node = subject.slice(subject.lastIndexOf('.') + 1)
    const member = node === this.#options.name ? undefined : this.#members.of(node)
    if (!member) return
    const head = readBatch(data)
    if (typeof head === 'string') {
      this.#counters.refusedBatches++
      member.refused++
      this.#warnOnce(`batch ${node} ${head}`, { node, reason: head }, 'a batch is refused')
      return
    }
    this.#counters.receivedBatches++
    const { stream } = member
    if (stream && stream.epoch === head.epoch) {
      const step = (head.sequence - stream.sequence) | 0
      if (step <= 0) return
      if (step > 1 || head.dropped) this.#noteGap(member, stream.base)
    }
    this.#applier.aheadSeconds = aheadSeconds(member)
    this.#apply(data, head, node)
    this.#applier.aheadSeconds = 0
    member.stream = { epoch: head.epoch, sequence: head.sequence, base: head.base }
    member.lagSeconds = Math.max(0, (Date.now() - head.millis) / 1000)
  }

  #apply(bytes: Buffer, { base, epoch }: BatchHead, from: string): void {
    // The stops and downloads of this node must be known first.
    this.#outbox.drain()
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const deltas = { bytes, view }
    this.#applier.nowSeconds = this.#options.nowSeconds()
    this.#applier.from = from
    const run = this.#sockets.runOf(from, epoch)
    this.#applier.lease = leaseOfRun(run)
    for (let at = BATCH_HEAD_BYTES; at < bytes.length; ) {
      if (adoptConnection(bytes, at, run)) at += applyDelta(this.#applier, deltas, at, base)
      else at += deltaBytes(bytes.readUInt8(at))
    }
  }

  #warnOnce(key: string, fields: object, message: string, level: 'warn' | 'error' = 'warn'): void {
    if (this.#warned.has(key) || this.#warned.size > WARNINGS_MAX) return
    this.#warned.add(key)
    this.#options.log(level, fields, message)
  }

  state(): NodesState {
    const counters = this.#counters
    const { applied, expired, older } = this.#applier.counts
    counters.appliedDeltas = applied
    counters.olderDeltas = older
    counters.expiredDeltas = expired
    counters.sentDeltas = this.#outbox.sent
    counters.sentBatches = this.#outbox.batches
    counters.droppedDeltas = this.#outbox.dropped
    counters.skippedDeltas = this.#outbox.skipped
    counters.sentExpiries = this.#outbox.expiries
    return {
      connected: this.#options.bus.isUp,
      joined: this.#joining.isJoined,
      backlogBytes: this.#outbox.waitingBytes,
      rate: this.#rate,
      counters: { ...counters },
      nodes: this.#members.all().map(member => ({
        name: member.name,
        version: member.heartbeat?.version ?? '',
        up: member.isUp,
        joined: member.heartbeat?.joined ?? false,
        lag: member.lagSeconds,
        clock: member.clockSeconds,
        peers: member.heartbeat?.peers ?? 0,
        torrents: member.heartbeat?.torrents ?? 0,
        rate: member.rate,
        differs: member.heartbeat !== undefined && member.heartbeat.settings !== this.digest,
        refused: member.refused,
      })),
    }
  }
}

/**
 * Whole seconds by which the clock of a node is ahead of this one, if they differ by more than NTP
 * leaves. Without it, a peer that moves to another node could seem to have announced there earlier.
 */
function aheadSeconds({ clockSeconds }: Member): number {
  return Math.abs(clockSeconds) > CLOCK_SECONDS_MAX ? Math.round(clockSeconds) : 0
}

function leaseOfRun(run: Run | undefined): number {
  return run ? leaseOf(run.number) : 0
}

/** Seconds before the last batch from which on a transfer begins. */
const GAP_SECONDS = 2
const WARNINGS_MAX = 1000
