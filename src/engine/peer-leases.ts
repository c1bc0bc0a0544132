import { EVENT, Event, Family } from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import {
  LEASE_COUNT_BITS,
  LEASE_GENERATION_SHIFT,
  LEASE_GENERATIONS,
  LEASE_NODE_SHIFT,
  PEER_LEASED,
} from './tables/layout.ts'
import {
  continueLease,
  EXTRA_SECONDS,
  FLOORS,
  type Leases,
  OWN_LEASE,
  ownLease,
  UNKNOWN_NODE,
  UP,
  wordAt,
} from './tables/lease.ts'

/** One of this many announces that change nothing is sent to the other nodes. */
export const LEASE_ANNOUNCES = LEASE_COUNT_BITS + 1

/**
 * Begins a generation of leases: the next announce of each peer is sent to the other nodes. With
 * `isOn` false, every announce is sent from now on.
 */
export function beginLeases(leases: Leases, generation: number, isOn: boolean): void {
  const lease = PEER_LEASED | ((generation % LEASE_GENERATIONS) << LEASE_GENERATION_SHIFT)
  Atomics.store(leases, OWN_LEASE, isOn ? lease : 0)
}

/** `timeoutSeconds` is the time after which a node removes its own peers. */
export function setLeaseTimeout(leases: Leases, timeoutSeconds: number): void {
  Atomics.store(leases, EXTRA_SECONDS, LEASE_ANNOUNCES * timeoutSeconds)
}

/** The lease of a peer of the node with this number, below LEASE_NODES. */
export function leaseOf(node: number): number {
  return PEER_LEASED | (node << LEASE_NODE_SHIFT)
}

export function setNodeUp(leases: Leases, node: number): void {
  Atomics.store(leases, FLOORS + node, UP)
}

/** The node is unreachable: the timeout of its peers counts from this Unix second at least. */
export function setNodeDown(leases: Leases, node: number, seconds: number): void {
  Atomics.store(leases, FLOORS + node, seconds)
}

/** Peers without a lease, or of an unknown node, live for the timeout from this Unix second on. */
export function setTransferred(leases: Leases, seconds: number): void {
  for (const node of [0, UNKNOWN_NODE]) {
    if (leases[FLOORS + node]! < seconds) Atomics.store(leases, FLOORS + node, seconds)
  }
}

/**
 * The lease (tables/lease.ts) of the announcing peer, whose details are at `detail`. An announce
 * that is to be sent to the other nodes begins it anew. `isSame`: the peer was there before, with
 * the same port and state.
 */
export function nextLease(
  { access, held, leases }: Engine,
  announce: Announce,
  detail: number,
  isSame: boolean,
): number {
  if (announce.isRemote) return announce.lease
  const own = ownLease(leases)
  announce.isContinued = false
  announce.lease = 0
  // The other nodes need the counts of users' peers. WebSocket peers leave with their connection.
  if (own === 0 || access.rules.users || announce.peer.family === Family.websocket) return 0
  announce.lease = own
  const { at, request } = announce
  if (!isSame || request.u8[at + EVENT] !== Event.none) return own
  const continued = continueLease(wordAt(held.arena, detail), own)
  if (continued === 0) return own
  announce.isContinued = true
  return continued
}
