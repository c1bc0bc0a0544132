import type { Arena } from './arena.ts'
import { type HashKey, hashPeer } from './keyed-hash.ts'
import {
  DETAIL_BYTES,
  LIST_CAPACITY,
  LIST_COUNT,
  LIST_SEEDERS,
  PEER_ADDRESS,
  PEER_WIDTH,
  STRIPE_PEERS,
  STRIPE_SEEDERS,
  WEBSOCKET_FAMILY,
} from './layout.ts'
import { giveRoom, makeRoom } from './list-room.ts'
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

/** Peers that come to a list, go from it and become seeders. The stripe's lock is held throughout. */

function copyPeer(arena: Arena, list: number, family: number, from: number, to: number): void {
  const width = PEER_WIDTH[family]!
  copyShorts(arena, compactAt(arena, list, family, from), compactAt(arena, list, family, to), width)
  copyShorts(
    arena,
    detailAt(arena, list, family, from),
    detailAt(arena, list, family, to),
    DETAIL_BYTES,
  )
}

function copyShorts(arena: Arena, from: number, to: number, bytes: number): void {
  const source = from >> 1
  const target = to >> 1
  for (let n = 0; n < bytes >> 1; n++) arena.u16[target + n] = arena.u16[source + n]!
}

/** Moves the peer in `from` to the free slot `to`. */
function movePeer(
  arena: Arena,
  list: number,
  family: number,
  from: number,
  to: number,
  key: HashKey,
): void {
  if (from === to) return
  const index = peerIndexOf(arena, list)
  if (index !== 0) indexMove(arena, index, hashOfSlot(arena, list, family, from, key), from, to)
  copyPeer(arena, list, family, from, to)
}

const spareCompact = new Uint16Array(PEER_WIDTH[WEBSOCKET_FAMILY] >> 1)
const spareDetail = new Uint16Array(DETAIL_BYTES >> 1)

function swapPeers(
  arena: Arena,
  list: number,
  family: number,
  a: number,
  b: number,
  key: HashKey,
): void {
  if (a === b) return
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hashA = hashOfSlot(arena, list, family, a, key)
    const hashB = hashOfSlot(arena, list, family, b, key)
    indexMove(arena, index, hashA, a, NOWHERE)
    indexMove(arena, index, hashB, b, a)
    indexMove(arena, index, hashA, NOWHERE, b)
  }
  const shorts = PEER_WIDTH[family]! >> 1
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

/** A slot that no peer has, for the index entry of a peer on its way from one to another. */
const NOWHERE = 0xffff_fff0

/**
 * Makes a slot for a new peer of this id and address in the torrent's list and returns it, or -1 when there is no room. The caller fills in
 * compact bytes and details at once; nothing else about the slot is known yet.
 */
export function insertPeer(
  arena: Arena,
  stripe: number,
  torrent: number,
  family: number,
  view: DataView,
  idAt: number,
  addressAt: number,
  seeder: boolean,
  key: HashKey,
): number {
  const list = makeList(arena, stripe, torrent, family)
  if (list === 0) return -1
  const slot = insertInto(arena, stripe, list, family, view, idAt, addressAt, seeder, key)
  if (slot === -1) dropEmptyList(arena, stripe, torrent, family)
  return slot
}

function insertInto(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  view: DataView,
  idAt: number,
  addressAt: number,
  seeder: boolean,
  key: HashKey,
): number {
  const count = peerCount(arena, list)
  if (!makeRoom(arena, stripe, list, family, count, key)) return -1
  const seeders = seederCount(arena, list)
  const slot = seeder ? seeders : count
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hash = hashPeer(key, view, idAt, view, addressAt, PEER_ADDRESS[family]!)
    if (!indexInsert(arena, index, hash, NOWHERE)) return -1
    if (slot !== count) movePeer(arena, list, family, slot, count, key)
    indexMove(arena, index, hash, NOWHERE, slot)
    arena.u32[(list + LIST_CAPACITY) >> 2] = indexGrow(arena, stripe, index, count + 1)
  } else if (slot !== count) {
    copyPeer(arena, list, family, slot, count)
  }
  arena.u32[(list + LIST_COUNT) >> 2] = count + 1
  arena.u32[(stripe + STRIPE_PEERS + family * 4) >> 2]!++
  if (seeder) countSeeders(arena, stripe, list, family, 1)
  return slot
}

function countSeeders(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  change: number,
): void {
  arena.u32[(list + LIST_SEEDERS) >> 2]! += change
  arena.u32[(stripe + STRIPE_SEEDERS + family * 4) >> 2]! += change
}

/** Makes the peer in `slot` a seeder or a leecher, and returns the slot that it has then. */
export function setSeeder(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  slot: number,
  seeder: boolean,
  key: HashKey,
): number {
  const seeders = seederCount(arena, list)
  if (seeder === slot < seeders) return slot
  const target = seeder ? seeders : seeders - 1
  swapPeers(arena, list, family, slot, target, key)
  countSeeders(arena, stripe, list, family, seeder ? 1 : -1)
  return target
}

/** Takes a peer out of the torrent's list; the last of its kind fills its slot. */
export function removePeer(
  arena: Arena,
  stripe: number,
  torrent: number,
  family: number,
  slot: number,
  key: HashKey,
): void {
  const list = listOf(arena, torrent, family)
  const count = peerCount(arena, list)
  const seeders = seederCount(arena, list)
  const index = peerIndexOf(arena, list)
  if (index !== 0) indexRemove(arena, index, hashOfSlot(arena, list, family, slot, key), slot)
  let hole = slot
  if (slot < seeders) {
    movePeer(arena, list, family, seeders - 1, hole, key)
    hole = seeders - 1
    countSeeders(arena, stripe, list, family, -1)
  }
  movePeer(arena, list, family, count - 1, hole, key)
  arena.u32[(list + LIST_COUNT) >> 2] = count - 1
  arena.u32[(stripe + STRIPE_PEERS + family * 4) >> 2]!--
  giveRoom(arena, stripe, list, family, count - 1)
  if (count === 1) dropEmptyList(arena, stripe, torrent, family)
}
