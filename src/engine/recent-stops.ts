import {
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_FAMILY_BITS,
  DELTA_SEEN,
  DeltaBit,
  deltaBytes,
  EXPIRED_SEEN_BYTES,
  isExpiry,
  seenOf,
} from '../protocol/delta-record.ts'
import { type Family, HASH_BYTES } from '../protocol/records.ts'
import { RecentMap } from './recent-map.ts'
import { PEER_ADDRESS } from './tables/layout.ts'

/** Seconds after which the older half is forgotten, and stops of one half at most. */
const HALF_SECONDS = 300
const HALF_STOPS_MAX = 100_000

/**
 * A stop at the Unix second `seen`, which the node `from` received; OWN_NODE for this one. A peer
 * that timed out has stopped at its last announce, and is `reported` later.
 */
export type Stop = {
  readonly seen: number
  readonly from: string
  readonly delta: Uint8Array
  readonly reported: number
}

/** No other node has this name. */
export const OWN_NODE = ''

/**
 * The peers that stopped in the last minutes, wherever they did. An announce from before the stop
 * can arrive after it, over another node, and would otherwise bring the peer back until it times
 * out.
 */
export class RecentStops {
  readonly #stops = new RecentMap<Stop>(HALF_SECONDS, HALF_STOPS_MAX)

  /** Records the `stopped` delta at `at` as a Stop. */
  note(bytes: Buffer, at: number, seen: number, from = OWN_NODE, reported = seen): void {
    this.#stops.turn(reported)
    const bits = (bytes[at + DELTA_BITS]! & DELTA_FAMILY_BITS) | DeltaBit.stopped
    const delta = Uint8Array.from(bytes.subarray(at, at + deltaBytes(bits)))
    delta[DELTA_BITS] = bits
    delta[DELTA_SEEN] = seen & 0xff
    const family = (bits & DELTA_FAMILY_BITS) as Family
    const address = at + DELTA_ADDRESS
    const ids = address + DELTA_ADDRESS_BYTES[family]
    const key = keyOf(bytes, family, address, ids, ids + HASH_BYTES)
    const known = this.#stops.get(key)
    if (known === undefined || known.seen < seen) {
      this.#stops.set(key, { seen, from, delta, reported })
    }
  }

  /**
   * Whether the peer stopped after the announce of the Unix second `seen`, which came from the node
   * `from`. Within one second, only the order of one node's own announces is known: a stop that
   * another node received counts as the later one, on every node alike.
   */
  hasStopped({ bytes, family, address, hash, id }: PeerPlace, seen: number, from: string): boolean {
    if (this.#stops.isEmpty) return false
    const key = keyOf(bytes, family, address, hash, id)
    const stop = this.#stops.get(key)
    return stop !== undefined && (stop.seen > seen || (stop.seen === seen && stop.from !== from))
  }

  /** The stops that were reported since the Unix second `since`. */
  *since(since: number): Generator<Stop> {
    for (const stop of this.#stops.values()) if (stop.reported >= since) yield stop
  }
}

/** The offsets of the address, info hash and id of a peer. */
export type PeerPlace = {
  readonly bytes: Buffer
  readonly family: Family
  readonly address: number
  readonly hash: number
  readonly id: number
}

function keyOf(bytes: Buffer, family: Family, address: number, hash: number, id: number): string {
  return (
    bytes.toString('latin1', address, address + PEER_ADDRESS[family]) +
    bytes.toString('latin1', hash, hash + HASH_BYTES) +
    bytes.toString('latin1', id, id + HASH_BYTES)
  )
}

/** The Unix second of the last announce of the peer in the DELTA_EXPIRED delta at `at`. */
export function expirySeen(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + deltaBytes(bytes[at]!) - EXPIRED_SEEN_BYTES)
}

/** Notes the `stopped` deltas from `at` to `end`, which were made just before `base`. */
export function noteStops(
  stops: RecentStops,
  bytes: Buffer,
  at: number,
  end: number,
  base: number,
): void {
  for (let next = at; next < end; next += deltaBytes(bytes[next]!)) {
    const bits = bytes[next]!
    if ((bits & DeltaBit.stopped) === 0) continue
    if (isExpiry(bits)) stops.note(bytes, next, expirySeen(bytes, next), OWN_NODE, base)
    else stops.note(bytes, next, seenOf(bytes[next + DELTA_SEEN]!, base))
  }
}
