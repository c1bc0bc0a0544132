import { Family, HASH_BYTES } from './records.ts'
import { SESSION_TOTALS_BYTES } from './session-totals.ts'

/**
 * A delta: what one announce changed in a swarm, as nodes report it to each other. Offsets in bytes
 * from its start; integers little-endian, hashes, ids and addresses as on the wire. All lengths are
 * multiples of four.
 *
 * The address follows the head, then info hash and peer id. With DeltaBit.counts,
 * DELTA_COUNTS_BYTES follow, with DeltaBit.user the 20 bytes of the user's key, and with
 * DeltaBit.session the SESSION_TOTALS_BYTES of the user's session (session-totals.ts). A peer that
 * timed out (DELTA_EXPIRED) has the Unix second of its last announce (u32) instead.
 */
export const DELTA_BITS = 0 //    u8, DeltaBit above the family in the two lowest bits
export const DELTA_SEEN = 1 //    u8, low byte of the Unix second of the announce
export const DELTA_PORT = 2 //    u16
export const DELTA_ADDRESS = 4 // DELTA_ADDRESS_BYTES of the family

export const DELTA_FAMILY_BITS = 3

export const DeltaBit = {
  /** Nothing is left to download. */
  seeder: 4,
  /** The peer is removed. */
  stopped: 8,
  /** The announce counted as a download. */
  completed: 16,
  /** The counts that the client reported follow. */
  counts: 32,
  /** The key of the client's user follows. */
  user: 64,
  /** The user's session follows. Only with `user`. */
  session: 128,
  /** Without `user`: the node owns the peer (engine/tables/lease.ts). */
  leased: 128,
} as const

/** The bits, without the family, of a peer that timed out at its node. */
export const DELTA_EXPIRED = DeltaBit.leased | DeltaBit.stopped
const EXPIRED_BITS = DELTA_EXPIRED | DeltaBit.user
/** Bytes of the last announce of such a peer, at the end of the delta. */
export const EXPIRED_SEEN_BYTES = 4

/** Whether the delta with these DELTA_BITS is of a peer that timed out. */
export function isExpiry(bits: number): boolean {
  return (bits & EXPIRED_BITS) === DELTA_EXPIRED
}

/** Bytes of an address: a WebSocket peer has its connection (8) and its client's address (16). */
export const DELTA_ADDRESS_BYTES = [4, 16, 24] as const

/** The counts, from their start. */
export const COUNT_BYTES = 6
export const COUNTS_UPLOADED = 0 // u48, bytes; downloaded and left follow
export const COUNTS_EVENT = 18 //   u8, Event of the announce; one unused byte follows
export const DELTA_COUNTS_BYTES = 20

/** Seconds that a delta may be older than the time by which DELTA_SEEN is completed. */
export const DELTA_AGE_MAX = 255

function bytesWith(bits: number): number {
  const address = DELTA_ADDRESS_BYTES[bits & DELTA_FAMILY_BITS]
  if (address === undefined) return 0
  const isUsers = (bits & DeltaBit.user) !== 0
  return (
    DELTA_ADDRESS +
    address +
    2 * HASH_BYTES +
    ((bits & DeltaBit.counts) === 0 ? 0 : DELTA_COUNTS_BYTES) +
    (isUsers ? HASH_BYTES : 0) +
    (isUsers && (bits & DeltaBit.session) !== 0 ? SESSION_TOTALS_BYTES : 0) +
    (isExpiry(bits) ? EXPIRED_SEEN_BYTES : 0)
  )
}

const LENGTHS = Uint16Array.from({ length: 256 }, (_, bits) => bytesWith(bits))

/** Bytes of a delta with these DELTA_BITS, the low byte of `bits`; 0 if no delta has them. */
export function deltaBytes(bits: number): number {
  return LENGTHS[bits]!
}

export const DELTA_BYTES_MAX = deltaBytes(
  Family.websocket | DeltaBit.counts | DeltaBit.user | DeltaBit.session,
)

/**
 * The Unix second of the announce, of a delta that was made at most DELTA_AGE_MAX before `base`.
 */
export function seenOf(low: number, base: number): number {
  return base - ((base - low) & 0xff)
}
