import { COMPACT_BYTES, type Family, PEER_BYTES_MAX } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import type { SoughtPeer } from './find-peer.ts'
import { hashPeer } from './keyed-hash.ts'
import {
  DETAIL_BYTES,
  LIST_CAPACITY,
  LIST_COUNT,
  LIST_SEEDERS,
  PEER_ADDRESS,
  STRIPE_PEERS,
  STRIPE_SEEDERS,
} from './layout.ts'
import { growList, shrinkList } from './list-capacity.ts'
import { indexGrow, indexInsert, indexMove, indexRemove } from './peer-index.ts'
import {
  compactAt,
  detailAt,
  dropEmptyList,
  hashOfSlot,
  listOf,
  makeList,
  peerCount,
  peerIndexOf,
  seederCount,
} from './peer-list.ts'
import { copyTag, hasTags, setTag, swapTags, tagOf } from './peer-tags.ts'
import { type ListRef, NO_LIST, NO_SLOT, type Slot, type TorrentRef } from './references.ts'
import { countSource } from './source-counts.ts'
import type { HeldStripe } from './stripe.ts'

/** Insertion, removal and promotion of peers. The caller holds the stripe's lock throughout. */

/**
 * A value that is not the slot of any peer: the index entry of a peer that is being moved has it.
 */
const NOWHERE = 0xffff_fff0

function copyPeer(arena: Arena, list: ListRef, family: Family, from: Slot, to: Slot): void {
  const width = COMPACT_BYTES[family]
  copyShorts(arena, compactAt(arena, list, family, from), compactAt(arena, list, family, to), width)
  copyShorts(
    arena,
    detailAt(arena, list, family, from),
    detailAt(arena, list, family, to),
    DETAIL_BYTES,
  )
}

function copyShorts({ u16 }: Arena, from: number, to: number, bytes: number): void {
  const source = from >> 1
  const target = to >> 1
  for (let n = 0; n < bytes >> 1; n++) u16[target + n] = u16[source + n]!
}

/** Moves the peer in `from` to the free slot `to`. */
function movePeer(held: HeldStripe, list: ListRef, family: Family, from: Slot, to: Slot): void {
  if (from === to) return
  const { arena } = held
  const index = peerIndexOf(arena, list)
  if (index !== 0) indexMove(arena, index, hashOfSlot(held, list, family, from), from, to)
  if (hasTags(held, list)) copyTag(held, list, from, to)
  copyPeer(arena, list, family, from, to)
}

const spareCompact = new Uint16Array(PEER_BYTES_MAX >> 1)
const spareDetail = new Uint16Array(DETAIL_BYTES >> 1)

function swapPeers(held: HeldStripe, list: ListRef, family: Family, a: Slot, b: Slot): void {
  if (a === b) return
  const { arena } = held
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hashA = hashOfSlot(held, list, family, a)
    const hashB = hashOfSlot(held, list, family, b)
    indexMove(arena, index, hashA, a, NOWHERE)
    indexMove(arena, index, hashB, b, a)
    indexMove(arena, index, hashA, NOWHERE, b)
  }
  if (hasTags(held, list)) swapTags(held, list, a, b)
  const shorts = COMPACT_BYTES[family] >> 1
  const compact = compactAt(arena, list, family, a) >> 1
  const detail = detailAt(arena, list, family, a) >> 1
  for (let n = 0; n < shorts; n++) spareCompact[n] = arena.u16[compact + n]!
  for (let n = 0; n < DETAIL_BYTES >> 1; n++) spareDetail[n] = arena.u16[detail + n]!
  copyPeer(arena, list, family, b, a)
  const compactB = compactAt(arena, list, family, b) >> 1
  const detailB = detailAt(arena, list, family, b) >> 1
  for (let n = 0; n < shorts; n++) arena.u16[compactB + n] = spareCompact[n]!
  for (let n = 0; n < DETAIL_BYTES >> 1; n++) arena.u16[detailB + n] = spareDetail[n]!
}

/**
 * Makes a slot for a new peer in the torrent's list; NO_SLOT if memory is full. The caller must
 * fill in the compact bytes and the details before it releases the stripe.
 */
export function insertPeer(held: HeldStripe, torrent: TorrentRef, peer: SoughtPeer): Slot {
  const list = makeList(held, torrent, peer.family)
  if (list === NO_LIST) return NO_SLOT
  const slot = insertInto(held, list, peer)
  if (slot === NO_SLOT) dropEmptyList(held, torrent, peer.family)
  else countSource(held, peer.family, peer.view, peer.addressAt, 1)
  return slot
}

function insertInto(held: HeldStripe, list: ListRef, peer: SoughtPeer): Slot {
  const { arena, head } = held
  const { family, seeder } = peer
  const count = peerCount(arena, list)
  if (!growList(held, list, family, count)) return NO_SLOT
  const end = count as Slot
  const slot = seeder ? (seederCount(arena, list) as Slot) : end
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hash = hashPeer(held.hashKey, peer.view, peer.idAt, peer.addressAt, PEER_ADDRESS[family])
    if (!indexInsert(arena, index, hash, NOWHERE)) return NO_SLOT
    movePeer(held, list, family, slot, end)
    indexMove(arena, index, hash, NOWHERE, slot)
    arena.u32[(list + LIST_CAPACITY) >> 2] = indexGrow(arena, head, index, count + 1, hash)
  } else movePeer(held, list, family, slot, end)
  if (hasTags(held, list)) {
    setTag(held, list, slot, tagOf(held.hashKey, peer.view, peer.addressAt, family))
  }
  arena.u32[(list + LIST_COUNT) >> 2] = count + 1
  arena.u32[(head + STRIPE_PEERS + family * 4) >> 2]!++
  if (seeder) countSeeders(held, list, family, 1)
  return slot
}

function countSeeders(
  { arena, head }: HeldStripe,
  list: ListRef,
  family: Family,
  change: number,
): void {
  arena.u32[(list + LIST_SEEDERS) >> 2]! += change
  arena.u32[(head + STRIPE_SEEDERS + family * 4) >> 2]! += change
}

/** Makes the peer in `slot` a seeder or a leecher. Returns the slot that it has afterwards. */
export function setSeeder(
  held: HeldStripe,
  list: ListRef,
  family: Family,
  slot: Slot,
  seeder: boolean,
): Slot {
  const seeders = seederCount(held.arena, list)
  if (seeder === slot < seeders) return slot
  const target = (seeder ? seeders : seeders - 1) as Slot
  swapPeers(held, list, family, slot, target)
  countSeeders(held, list, family, seeder ? 1 : -1)
  return target
}

/** Removes a peer from the torrent's list. The last peer of its kind fills its slot. */
export function removePeer(
  held: HeldStripe,
  torrent: TorrentRef,
  family: Family,
  slot: Slot,
): void {
  const { arena, head } = held
  const list = listOf(arena, torrent, family)
  const count = peerCount(arena, list)
  const seeders = seederCount(arena, list)
  const index = peerIndexOf(arena, list)
  countSource(held, family, arena.view, compactAt(arena, list, family, slot), -1)
  if (index !== 0) indexRemove(arena, index, hashOfSlot(held, list, family, slot), slot)
  let hole = slot
  if (slot < seeders) {
    movePeer(held, list, family, (seeders - 1) as Slot, hole)
    hole = (seeders - 1) as Slot
    countSeeders(held, list, family, -1)
  }
  movePeer(held, list, family, (count - 1) as Slot, hole)
  arena.u32[(list + LIST_COUNT) >> 2] = count - 1
  arena.u32[(head + STRIPE_PEERS + family * 4) >> 2]!--
  shrinkList(held, list, family, count - 1)
  if (count === 1) dropEmptyList(held, torrent, family)
}
