import { COMPACT_BYTES, Family, PORT_BYTES } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import type { SoughtPeer } from './find-peer.ts'
import { PEER_ADDRESS, SEGMENT_PEERS } from './layout.ts'
import { blockAt, compactAt, peerCount, seederCount } from './peer-list.ts'
import { hasTags, nextTag, tagOf } from './peer-tags.ts'
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
  /** The announcing peer, the port that it announces, and its slot, which is not surveyed. */
  peer: SoughtPeer
  port: number
  self: Slot
  /** Peers of the same IPv4 address or IPv6 /64. */
  count: number
  /** Whether one of them has the same address and port. */
  hasEndpoint: boolean
}

export function createAddressSurvey(peer: SoughtPeer): AddressSurvey {
  return { peer, port: 0, self: NO_SLOT, count: 0, hasEndpoint: false }
}

/** Makes `survey` that of a list without peers of the address. */
export function clearSurvey(survey: AddressSurvey): void {
  survey.count = 0
  survey.hasEndpoint = false
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
  const seeders = seederCount(arena, list)
  into.peer = peer
  into.port = port
  into.self = self
  clearSurvey(into)
  const isTagged = hasTags(held, list)
  for (let end = peerCount(arena, list); end > 0; end = end > seeders ? seeders : 0) {
    const begin = Math.max(end > seeders ? seeders : 0, end - NEWEST_PEERS)
    if (isTagged) surveyTags(held, list, begin, end, into)
    else for (let slot = begin; slot < end; slot++) surveyPeer(arena, list, slot as Slot, into)
  }
}

/** Surveys the peers from slot `begin` to `end` - 1 that have the tag of the address. */
function surveyTags(
  { arena, hashKey }: HeldStripe,
  list: ListRef,
  begin: number,
  end: number,
  into: AddressSurvey,
): void {
  const { peer } = into
  const tag = tagOf(hashKey, peer.view, peer.addressAt, peer.family)
  for (let segment = begin & -SEGMENT_PEERS; segment < end; segment += SEGMENT_PEERS) {
    const tags = blockAt(arena, list, segment as Slot)
    const last = Math.min(end - segment, SEGMENT_PEERS)
    let place = nextTag(arena, tags, tag, Math.max(0, begin - segment), last)
    while (place !== NO_SLOT) {
      surveyPeer(arena, list, (segment + place) as Slot, into)
      place = nextTag(arena, tags, tag, place + 1, last)
    }
  }
}

/** Counts the peer in `slot` if it has the address that is surveyed. */
function surveyPeer(arena: Arena, list: ListRef, slot: Slot, into: AddressSurvey): void {
  const { family, view: own, addressAt } = into.peer
  const { view } = arena
  const at = compactAt(arena, list, family, slot)
  if (view.getInt32(at, true) !== own.getInt32(addressAt, true) || slot === into.self) return
  if (family !== Family.ipv4) {
    if (view.getInt32(at + 4, true) !== own.getInt32(addressAt + 4, true)) return
    into.count++
    if (view.getInt32(at + 8, true) !== own.getInt32(addressAt + 8, true)) return
    if (view.getInt32(at + 12, true) !== own.getInt32(addressAt + 12, true)) return
  } else into.count++
  const port = view.getUint16(at + COMPACT_BYTES[family] - PORT_BYTES)
  if (port === into.port) into.hasEndpoint = true
}
