import { COMPACT_BYTES, Family, PORT_BYTES } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import type { SoughtPeer } from './find-peer.ts'
import { PEER_ADDRESS, SEGMENT_PEERS } from './layout.ts'
import { compactAt, peerCount, seederCount } from './peer-list.ts'
import { hasTags, nextTag, tagOf, tagsAt } from './peer-tags.ts'
import { type ListRef, NO_SLOT, type Slot } from './references.ts'
import type { HeldStripe } from './stripe.ts'

/** Newest peers of each kind that are checked in a large list. */
const NEWEST_PEERS = SEGMENT_PEERS

/**
 * Whether a list has at least `bound` peers of the IPv4 address or the IPv6 /64 at `addressAt` of
 * the peer's memory. A list of up to twice NEWEST_PEERS is checked completely. In a larger one the
 * newest seeders and leechers are checked, which lie at the ends of their runs: one address then
 * gets at most `bound` of these, and the time stays bounded.
 */
export function hasManyOf(
  { arena }: HeldStripe,
  list: ListRef,
  { family, view }: SoughtPeer,
  addressAt: number,
  bound: number,
): boolean {
  const count = peerCount(arena, list)
  if (count < bound) return false
  const seeders = seederCount(arena, list)
  // The address of a WebSocket peer follows its connection, with IPv4 mapped: the last word of an
  // IPv4 address counts, and the first two of an IPv6 address.
  const address = family === Family.websocket ? PEER_ADDRESS[Family.websocket] : 0
  const isIpv4 = family === Family.ipv4
  const first = view.getInt32(addressAt, true)
  const isMapped = !isIpv4 && first === 0 && view.getInt32(addressAt + 4, true) === 0
  const other = isIpv4 ? 0 : isMapped ? 12 : 4
  const second = view.getInt32(addressAt + other, true)
  let left = bound
  for (let end = count; end > 0; end = end > seeders ? seeders : 0) {
    const begin = end > seeders ? seeders : 0
    for (let slot = end - 1; slot >= begin && slot >= end - NEWEST_PEERS; slot--) {
      const at = compactAt(arena, list, family, slot as Slot) + address
      if (arena.view.getInt32(at + other, true) !== second) continue
      if (arena.view.getInt32(at, true) !== first) continue
      if (--left === 0) return true
    }
  }
  return false
}

/** The peers of a list that share the address of an announcing peer. One object per thread. */
export type AddressSurvey = {
  /** Peers of the same IPv4 address or IPv6 /64. */
  count: number
  /** Whether one of them has the same address and port. */
  hasEndpoint: boolean
}

/**
 * Surveys a list of IPv4 or IPv6 peers, without the peer in slot `self`: the whole list up to twice
 * NEWEST_PEERS, in a larger one the newest seeders and leechers.
 */
export function surveyAddress(
  held: HeldStripe,
  list: ListRef,
  peer: SoughtPeer,
  port: number,
  self: Slot,
  into: AddressSurvey,
): void {
  const { arena } = held
  const { family } = peer
  const count = peerCount(arena, list)
  into.count = 0
  into.hasEndpoint = false
  if (hasTags(held, list)) {
    const tags = tagsAt(held, list, family)
    const tag = tagOf(held.hashKey, peer.view, peer.addressAt, family)
    for (let slot = nextTag(arena, tags, tag, 0, count); slot !== NO_SLOT; ) {
      if (slot !== self)
        surveyPeer(arena, compactAt(arena, list, family, slot as Slot), peer, port, into)
      slot = nextTag(arena, tags, tag, slot + 1, count)
    }
    return
  }
  const seeders = seederCount(arena, list)
  for (let end = count; end > 0; end = end > seeders ? seeders : 0) {
    const begin = end > seeders ? seeders : 0
    for (let slot = end - 1; slot >= begin && slot >= end - NEWEST_PEERS; slot--) {
      if (slot === self) continue
      surveyPeer(arena, compactAt(arena, list, family, slot as Slot), peer, port, into)
    }
  }
}

/** Counts the peer whose compact bytes are at `at` if it has the address that is surveyed. */
function surveyPeer(
  { view }: Arena,
  at: number,
  { family, view: own, addressAt }: SoughtPeer,
  port: number,
  into: AddressSurvey,
): void {
  if (view.getInt32(at, true) !== own.getInt32(addressAt, true)) return
  if (family !== Family.ipv4) {
    if (view.getInt32(at + 4, true) !== own.getInt32(addressAt + 4, true)) return
    into.count++
    if (view.getInt32(at + 8, true) !== own.getInt32(addressAt + 8, true)) return
    if (view.getInt32(at + 12, true) !== own.getInt32(addressAt + 12, true)) return
  } else into.count++
  if (view.getUint16(at + COMPACT_BYTES[family] - PORT_BYTES) === port) into.hasEndpoint = true
}
