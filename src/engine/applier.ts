import { allocate, type Bytes } from '../protocol/bytes.ts'
import { Family, WEBSOCKET_ANNOUNCE_BYTES } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { RecentCompletions } from './recent-completions.ts'
import { type PeerPlace, RecentStops } from './recent-stops.ts'

/** Counts of the deltas of other nodes, by result. */
export type Applied = {
  /** Changed the tables. */
  applied: number
  /** The tables had something newer, or the peer has stopped since. */
  older: number
  /** Timed out before they arrived. */
  expired: number
}

/** Applies deltas of other nodes to the tables. One per thread. */
export type Applier = {
  readonly engine: Engine
  readonly stops: RecentStops
  readonly completions: RecentCompletions
  /** Called before `stops` is asked: notes the latest stops of this node. A stripe is held. */
  readStops: () => void
  readonly counts: Applied
  readonly request: Bytes
  /** Unix seconds, set before a batch is applied. */
  nowSeconds: number
  /** Name of the node whose announces are applied, set with `nowSeconds`. */
  from: string
  /** Seconds by which the clock of that node is ahead, set with `nowSeconds`. */
  aheadSeconds: number
  /** The lease of the peers that the node owns, set with `nowSeconds`; 0 for an unknown node. */
  lease: number
  /** Name of this node. */
  readonly name: string
  readonly place: { -readonly [Field in keyof PeerPlace]: PeerPlace[Field] }
}

/** `engine` is of this thread alone and has no ring: applied deltas are not sent on. */
export function createApplier(engine: Engine, name: string): Applier {
  return {
    engine,
    name,
    stops: new RecentStops(),
    completions: new RecentCompletions(),
    readStops() {},
    counts: { applied: 0, older: 0, expired: 0 },
    request: allocate(WEBSOCKET_ANNOUNCE_BYTES),
    nowSeconds: 0,
    from: '',
    aheadSeconds: 0,
    lease: 0,
    place: { bytes: Buffer.alloc(0), family: Family.ipv4, address: 0, hash: 0, id: 0 },
  }
}

/** Deltas in memory. */
export type DeltaBytes = { readonly bytes: Buffer; readonly view: DataView }
