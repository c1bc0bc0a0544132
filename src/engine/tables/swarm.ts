import type { Arena } from './arena.ts'
import { allocateBlock, blockBytes, freeBlock, resizeInPlace } from './blocks.ts'
import { type HashKey, hashPeer } from './keyed-hash.ts'
import {
  DETAIL_BYTES,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DIRECTORY_REFS,
  DIRECTORY_ROOM,
  DIRECTORY_USED,
  EMPTY_LIST,
  INDEX_REF_MIN,
  LIST_BLOCK,
  LIST_BYTES,
  LIST_CAPACITY,
  LIST_COUNT,
  LIST_SEEDERS,
  PEER_ADDRESS,
  PEER_WIDTH,
  SEGMENT_PEERS,
  SMALL_AGAIN_PEERS,
  STRIPE_PEERS,
  STRIPE_SEEDERS,
  TORRENT_FLAG_BITS,
  TORRENT_FLAGS,
  TORRENT_LISTS,
  WEBSOCKET_FAMILY,
} from './layout.ts'
import {
  createPeerIndex,
  directoryWithRoom,
  freePeerIndex,
  indexFind,
  indexGrow,
  indexInsert,
  indexMove,
  indexRemove,
  indexShrink,
} from './peer-index.ts'

/**
 * One family's peers of one torrent. Slot 0 … seeders - 1 are seeders, the rest leechers. A list of at most SEGMENT_PEERS is one
 * block and is scanned; a longer one is segments behind a directory, with a peer index. `list` is the offset of its head in the arena; the
 * stripe's lock is held throughout.
 */

/** Where the peer list of a family lies. Once a WebSocket peer was inserted or removed it may lie elsewhere. */
export function listOf(arena: Arena, torrent: number, family: number): number {
  if (family === WEBSOCKET_FAMILY) return websocketList(arena, torrent) || EMPTY_LIST
  return torrent + TORRENT_LISTS + family * LIST_BYTES
}

/** Reference of the torrent's list of WebSocket peers; 0 when it has none. */
function websocketList(arena: Arena, torrent: number): number {
  return arena.u32[(torrent + TORRENT_FLAGS) >> 2]! & ~TORRENT_FLAG_BITS
}

function setWebsocketList(arena: Arena, torrent: number, list: number): void {
  const at = (torrent + TORRENT_FLAGS) >> 2
  arena.u32[at] = list | (arena.u32[at]! & TORRENT_FLAG_BITS)
}

/** The list of a family, made if the torrent has none yet; 0 when there is no room for it. */
function makeList(arena: Arena, stripe: number, torrent: number, family: number): number {
  const list = listOf(arena, torrent, family)
  if (list !== EMPTY_LIST) return list
  const made = allocateBlock(arena, stripe, LIST_BYTES)
  if (made === 0) return 0
  arena.u32.fill(0, made >> 2, (made + LIST_BYTES) >> 2)
  setWebsocketList(arena, torrent, made)
  return made
}

/** Gives back a list without peers, if it is one that was made. */
function dropEmptyList(arena: Arena, stripe: number, torrent: number, family: number): void {
  if (family !== WEBSOCKET_FAMILY) return
  const list = websocketList(arena, torrent)
  if (list === 0 || peerCount(arena, list) > 0) return
  setWebsocketList(arena, torrent, 0)
  freeBlock(arena, stripe, list)
}

export function peerCount(arena: Arena, list: number): number {
  return arena.u32[(list + LIST_COUNT) >> 2]!
}

export function seederCount(arena: Arena, list: number): number {
  return arena.u32[(list + LIST_SEEDERS) >> 2]!
}

/** Peers of a torrent, of all families. */
export function torrentPeers(arena: Arena, torrent: number): number {
  const first = (torrent + TORRENT_LISTS + LIST_COUNT) >> 2
  const websocket = listOf(arena, torrent, WEBSOCKET_FAMILY)
  return arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]! + peerCount(arena, websocket)
}

/** Seeders of a torrent, of all families. */
export function torrentSeeders(arena: Arena, torrent: number): number {
  const first = (torrent + TORRENT_LISTS + LIST_SEEDERS) >> 2
  const websocket = listOf(arena, torrent, WEBSOCKET_FAMILY)
  return arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]! + seederCount(arena, websocket)
}

/** Reference of the peer index of a large list; 0 for a small one. */
function peerIndexOf(arena: Arena, list: number): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  return word >= INDEX_REF_MIN ? word : 0
}

function segmentBytes(family: number, capacity: number): number {
  return capacity * (PEER_WIDTH[family]! + DETAIL_BYTES)
}

/** Offset of the block or segment that holds `slot`. */
function blockAt(arena: Arena, list: number, slot: number): number {
  const block = arena.u32[(list + LIST_BLOCK) >> 2]!
  if (peerIndexOf(arena, list) === 0) return block
  return arena.u32[((block + DIRECTORY_REFS) >> 2) + (slot >>> 9)]!
}

/** Offset of a peer's compact bytes. Those of the following slots lie right behind, up to the end of its segment. */
export function compactAt(arena: Arena, list: number, family: number, slot: number): number {
  return blockAt(arena, list, slot) + (slot & (SEGMENT_PEERS - 1)) * PEER_WIDTH[family]!
}

/** Offset of a peer's details (layout.ts, DETAIL_*). */
export function detailAt(arena: Arena, list: number, family: number, slot: number): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  const capacity = word >= INDEX_REF_MIN ? SEGMENT_PEERS : word
  return (
    blockAt(arena, list, slot) +
    capacity * PEER_WIDTH[family]! +
    (slot & (SEGMENT_PEERS - 1)) * DETAIL_BYTES
  )
}

/** Unix seconds at which the peer with these details last announced. */
export function lastSeen(arena: Arena, detail: number): number {
  const at = (detail + DETAIL_SEEN) >> 1
  return (arena.u16[at]! | (arena.u16[at + 1]! << 16)) >>> 0
}

function hashOfSlot(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  key: HashKey,
): number {
  const compact = compactAt(arena, list, family, slot)
  const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
  return hashPeer(key, arena.view, id, arena.view, compact, PEER_ADDRESS[family]!)
}

function samePeerId(arena: Arena, at: number, view: DataView, idAt: number): boolean {
  for (let n = 0; n < 20; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(idAt + n, true)) return false
  }
  return true
}

function sameAddress(
  arena: Arena,
  at: number,
  view: DataView,
  addressAt: number,
  bytes: number,
): boolean {
  for (let n = 0; n < bytes; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(addressAt + n, true)) return false
  }
  return true
}

/** Bytes of a peer id before these name the client and its version, and are the same for many (BEP 20). */
const ID_RANDOM = 12

/**
 * Slot of the peer with this id and address, or -1. Both count: a client that changes port stays one peer, and nobody can touch another's
 * entry by claiming its id from elsewhere. `leecher` says which half of a small list is looked through first.
 */
export function findPeer(
  arena: Arena,
  list: number,
  family: number,
  view: DataView,
  idAt: number,
  addressAt: number,
  key: HashKey,
  leecher = false,
): number {
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hash = hashPeer(key, view, idAt, view, addressAt, PEER_ADDRESS[family]!)
    let slot = indexFind(arena, index, hash, -1)
    while (slot !== -1 && !isPeer(arena, list, family, slot, view, idAt, addressAt)) {
      slot = indexFind(arena, index, hash, slot)
    }
    return slot
  }
  const first = leecher ? seederCount(arena, list) : 0
  const slot = scanPeers(arena, list, family, first, peerCount(arena, list), view, idAt, addressAt)
  if (slot !== -1 || first === 0) return slot
  return scanPeers(arena, list, family, 0, first, view, idAt, addressAt)
}

/** Slot from `first` to `end` - 1 of a small list in which the peer is, or -1. */
function scanPeers(
  arena: Arena,
  list: number,
  family: number,
  first: number,
  end: number,
  view: DataView,
  idAt: number,
  addressAt: number,
): number {
  const width = PEER_WIDTH[family]!
  // The end of an address differs more often than its beginning; where many share one, the random part of their ids tells them apart.
  const lastWord = PEER_ADDRESS[family]! - 4
  const sought = view.getInt32(addressAt + lastWord, true)
  const soughtId = view.getInt32(idAt + ID_RANDOM, true)
  let at = compactAt(arena, list, family, first) + lastWord
  let id = detailAt(arena, list, family, first) + DETAIL_PEER_ID + ID_RANDOM
  for (let slot = first; slot < end; slot++, at += width, id += DETAIL_BYTES) {
    if (
      arena.view.getInt32(at, true) === sought &&
      arena.view.getInt32(id, true) === soughtId &&
      isPeer(arena, list, family, slot, view, idAt, addressAt)
    ) {
      return slot
    }
  }
  return -1
}

function isPeer(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  view: DataView,
  idAt: number,
  addressAt: number,
): boolean {
  return (
    sameAddress(
      arena,
      compactAt(arena, list, family, slot),
      view,
      addressAt,
      PEER_ADDRESS[family]!,
    ) && samePeerId(arena, detailAt(arena, list, family, slot) + DETAIL_PEER_ID, view, idAt)
  )
}

/** Whether the peer in `slot` has the 20-byte id at `idAt`, whatever its address. */
export function hasPeerId(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  view: DataView,
  idAt: number,
): boolean {
  return samePeerId(arena, detailAt(arena, list, family, slot) + DETAIL_PEER_ID, view, idAt)
}

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

/** Room for a peer more than `count`. Only growing past a block allocates, by an eighth at a time. */
function makeRoom(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  count: number,
  key: HashKey,
): boolean {
  if (peerIndexOf(arena, list) !== 0) return makeSegment(arena, stripe, list, family, count)
  if (count < arena.u32[(list + LIST_CAPACITY) >> 2]!) return true
  if (count === SEGMENT_PEERS) return makeLarge(arena, stripe, list, family, key)
  return resizeBlock(arena, stripe, list, family, count + 1 + (count >> 3))
}

/** Makes the block of a small list one for `wanted` peers, at least as many as it has. */
function resizeBlock(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  wanted: number,
): boolean {
  const old = arena.u32[(list + LIST_BLOCK) >> 2]!
  const oldCapacity = arena.u32[(list + LIST_CAPACITY) >> 2]!
  const capacity = Math.min(SEGMENT_PEERS, wanted)
  const bytes = segmentBytes(family, capacity)
  let block = old
  if (capacity < oldCapacity) {
    moveDetails(arena, list, family, block, oldCapacity, block, capacity)
    resizeInPlace(arena, stripe, block, bytes)
  } else if (oldCapacity > 0 && resizeInPlace(arena, stripe, block, bytes)) {
    moveDetails(arena, list, family, block, oldCapacity, block, capacity)
  } else {
    block = allocateBlock(arena, stripe, bytes)
    if (block === 0) return false
    if (oldCapacity > 0) {
      arena.u8.copyWithin(block, old, old + peerCount(arena, list) * PEER_WIDTH[family]!)
      moveDetails(arena, list, family, old, oldCapacity, block, capacity)
      freeBlock(arena, stripe, old)
    }
  }
  arena.u32[(list + LIST_BLOCK) >> 2] = block
  arena.u32[(list + LIST_CAPACITY) >> 2] = capacity
  return true
}

/** Copies the details of all peers to where they lie in a block of another capacity; the blocks may be one. */
function moveDetails(
  arena: Arena,
  list: number,
  family: number,
  from: number,
  fromCapacity: number,
  to: number,
  toCapacity: number,
): void {
  const source = from + fromCapacity * PEER_WIDTH[family]!
  const end = source + peerCount(arena, list) * DETAIL_BYTES
  arena.u8.copyWithin(to + toCapacity * PEER_WIDTH[family]!, source, end)
}

/** Turns a full small list into a large one: its block becomes the first segment, and a second one is added. */
function makeLarge(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  key: HashKey,
): boolean {
  const first = arena.u32[(list + LIST_BLOCK) >> 2]!
  const bytes = DIRECTORY_REFS + 4 * 4
  const directory = allocateBlock(arena, stripe, bytes)
  if (directory === 0) return false
  const index = createPeerIndex(arena, stripe, SEGMENT_PEERS + 1)
  if (index === 0) {
    freeBlock(arena, stripe, directory)
    return false
  }
  const second = allocateBlock(arena, stripe, segmentBytes(family, SEGMENT_PEERS))
  if (second === 0) {
    freePeerIndex(arena, stripe, index)
    freeBlock(arena, stripe, directory)
    return false
  }
  for (let slot = 0; slot < SEGMENT_PEERS; slot++) {
    indexInsert(arena, index, hashOfSlot(arena, list, family, slot, key), slot)
  }
  arena.u32[(directory + DIRECTORY_ROOM) >> 2] =
    (blockBytes(arena, directory) - DIRECTORY_REFS) >> 2
  arena.u32[(directory + DIRECTORY_USED) >> 2] = 2
  arena.u32[(directory + DIRECTORY_REFS) >> 2] = first
  arena.u32[((directory + DIRECTORY_REFS) >> 2) + 1] = second
  arena.u32[(list + LIST_BLOCK) >> 2] = directory
  arena.u32[(list + LIST_CAPACITY) >> 2] = index
  return true
}

/** Adds a segment to a large list whose last one is full. */
function makeSegment(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  count: number,
): boolean {
  const directory = arena.u32[(list + LIST_BLOCK) >> 2]!
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  if (count < used * SEGMENT_PEERS) return true
  const larger = directoryWithRoom(arena, stripe, directory)
  if (larger === 0) return false
  arena.u32[(list + LIST_BLOCK) >> 2] = larger
  const segment = allocateBlock(arena, stripe, segmentBytes(family, SEGMENT_PEERS))
  if (segment === 0) return false
  arena.u32[((larger + DIRECTORY_REFS) >> 2) + used] = segment
  arena.u32[(larger + DIRECTORY_USED) >> 2] = used + 1
  return true
}

/** Gives memory back after a removal left `count` peers. */
function giveRoom(arena: Arena, stripe: number, list: number, family: number, count: number): void {
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    if (count <= SMALL_AGAIN_PEERS) makeSmall(arena, stripe, list, family, count)
    else {
      indexShrink(arena, stripe, index, count)
      dropSegment(arena, stripe, list, count)
    }
    return
  }
  const capacity = arena.u32[(list + LIST_CAPACITY) >> 2]!
  if (count === 0) {
    freeBlock(arena, stripe, arena.u32[(list + LIST_BLOCK) >> 2]!)
    arena.u32[(list + LIST_BLOCK) >> 2] = 0
    arena.u32[(list + LIST_CAPACITY) >> 2] = 0
  } else if (count <= capacity >> 1) {
    resizeBlock(arena, stripe, list, family, count + (count >> 2))
  }
}

/** Frees the last segment once it and half of the one before it are empty, so that a list on the border does not flap. */
function dropSegment(arena: Arena, stripe: number, list: number, count: number): void {
  const directory = arena.u32[(list + LIST_BLOCK) >> 2]!
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  if (used < 2 || count > (used - 1) * SEGMENT_PEERS - (SEGMENT_PEERS >> 1)) return
  const segment = arena.u32[((directory + DIRECTORY_REFS) >> 2) + used - 1]!
  freeBlock(arena, stripe, segment)
  arena.u32[(directory + DIRECTORY_USED) >> 2] = used - 1
}

/** Turns a large list into a small one. All its peers are in the first segment: SMALL_AGAIN_PEERS is less than one holds. */
function makeSmall(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  count: number,
): void {
  const directory = arena.u32[(list + LIST_BLOCK) >> 2]!
  const refs = (directory + DIRECTORY_REFS) >> 2
  freePeerIndex(arena, stripe, peerIndexOf(arena, list))
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  for (let n = 1; n < used; n++) freeBlock(arena, stripe, arena.u32[refs + n]!)
  arena.u32[(list + LIST_BLOCK) >> 2] = arena.u32[refs]!
  arena.u32[(list + LIST_CAPACITY) >> 2] = SEGMENT_PEERS
  freeBlock(arena, stripe, directory)
  resizeBlock(arena, stripe, list, family, count + (count >> 2))
}
