import type { Arena } from './arena.ts'
import { allocateBlock, blockBytes, freeBlock, resizeInPlace } from './blocks.ts'
import type { HashKey } from './keyed-hash.ts'
import {
  DETAIL_BYTES,
  DIRECTORY_REFS,
  DIRECTORY_ROOM,
  DIRECTORY_USED,
  LIST_BLOCK,
  LIST_CAPACITY,
  PEER_WIDTH,
  SEGMENT_PEERS,
  SMALL_AGAIN_PEERS,
} from './layout.ts'
import {
  createPeerIndex,
  directoryWithRoom,
  freePeerIndex,
  indexInsert,
  indexShrink,
} from './peer-index.ts'
import { hashOfSlot, peerCount, peerIndexOf, segmentBytes } from './peer-list.ts'

/**
 * Memory of a peer list: a block while it is small, segments behind a directory once it is large. The stripe's lock is held throughout.
 */

/** Room for a peer more than `count`. Only growing past a block allocates, by an eighth at a time. */
export function makeRoom(
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
export function giveRoom(
  arena: Arena,
  stripe: number,
  list: number,
  family: number,
  count: number,
): void {
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
