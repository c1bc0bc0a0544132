import type { Arena } from './arena.ts'
import {
  DETAIL_USER,
  LEASE_COUNT_BITS,
  LEASE_NODE_SHIFT,
  LEASE_NODES,
  PEER_LEASED,
  USER_NUMBER_BITS,
} from './layout.ts'

/**
 * Leases: where several nodes serve the swarm, the node that received a peer's last announce owns
 * the peer. The owner sends an announce that changes nothing to the other nodes only every fourth
 * time, and removes the peer after the timeout everywhere. For the other nodes, the time of the
 * peer's last announce may thus be that many announces old.
 *
 * Memory that all threads share, in words: the lease of a peer that announces to this node, then
 * the seconds by which the timeout of peers of other nodes is longer, then a floor per node. The
 * timeout of a node's peers counts from its floor, or from their last announce if that was later.
 */
export type Leases = Uint32Array<SharedArrayBuffer>

export const OWN_LEASE = 0
export const EXTRA_SECONDS = 1
export const FLOORS = 2
/** Floor of a node that is up: it reports which of its peers time out. */
export const UP = 0xffff_ffff

/** The number of a node that is unknown: a third one owned the peer when a transfer had it. */
export const UNKNOWN_NODE = LEASE_NODES - 1
export const UNKNOWN_LEASE = PEER_LEASED | (UNKNOWN_NODE << LEASE_NODE_SHIFT)
const LEASE_BITS = PEER_LEASED | USER_NUMBER_BITS
const NODE_BITS = (LEASE_NODES - 1) << LEASE_NODE_SHIFT

export function createLeases(): SharedArrayBuffer {
  return new SharedArrayBuffer((FLOORS + LEASE_NODES) * 4)
}

export function openLeases(memory: SharedArrayBuffer): Leases {
  return new Uint32Array(memory)
}

/** The lease of a peer that announces to this node; 0 while this node does not give leases. */
export function ownLease(leases: Leases): number {
  return leases[OWN_LEASE]!
}

/** The lease in a word of DETAIL_USER; 0 for none. */
export function leaseIn(word: number): number {
  return (word & PEER_LEASED) === 0 ? 0 : word & LEASE_BITS
}

/** Whether the lease in a word of DETAIL_USER is of this node. */
export function isOwnLease(word: number): boolean {
  return (word & (PEER_LEASED | NODE_BITS)) === PEER_LEASED
}

/** Whether the lease in a word of DETAIL_USER is of another node. */
export function isForeignLease(word: number): boolean {
  return (word & PEER_LEASED) !== 0 && (word & NODE_BITS) !== 0
}

/**
 * The next lease of a peer that has the one in `word` and announces to this node without a change;
 * 0 if the announce is to be sent.
 */
export function continueLease(word: number, own: number): number {
  const isSame = ((word ^ own) & LEASE_BITS & ~LEASE_COUNT_BITS) === 0
  return isSame && (word & LEASE_COUNT_BITS) !== LEASE_COUNT_BITS ? (word & LEASE_BITS) + 1 : 0
}

/** The word of DETAIL_USER in the details at `detail`. */
export function wordAt({ u16 }: Arena, detail: number): number {
  const at = (detail + DETAIL_USER) >> 1
  return u16[at]! | (u16[at + 1]! << 16)
}

/**
 * The Unix second from which the timeout counts, at least, of a peer with this word of DETAIL_USER
 * that was last seen at `seen`, and whose timeout did not end before `now`.
 */
export function timeoutFrom(leases: Leases, word: number, seen: number, now: number): number {
  if (isOwnLease(word)) return seen
  const floor = floorOf(leases, word)
  // If its node goes down, the timeout counts from then.
  if (floor === UP) return Math.max(seen, Math.min(seen + leases[EXTRA_SECONDS]!, now))
  return Math.max(seen, floor)
}

/** Whether a peer that was last seen at `seen`, before `limit`, has timed out. */
export function hasTimedOut(leases: Leases, word: number, seen: number, limit: number): boolean {
  if (isOwnLease(word)) return true
  const floor = floorOf(leases, word)
  return floor === UP ? seen < limit - leases[EXTRA_SECONDS]! : floor < limit
}

/** Peers without a lease have floor 0, which only a transfer sets. */
function floorOf(leases: Leases, word: number): number {
  const node = (word & PEER_LEASED) === 0 ? 0 : (word & NODE_BITS) >>> LEASE_NODE_SHIFT
  return leases[FLOORS + node]!
}
