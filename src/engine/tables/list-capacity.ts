import { COMPACT_BYTES, type Family } from '../../protocol/records.ts'
import { allocateBlock, blockBytes, freeBlock, resizeInPlace } from './blocks.ts'
import { moveBytes } from './copy-words.ts'
import {
  DETAIL_BYTES,
  DIRECTORY_REFS,
  DIRECTORY_ROOM,
  DIRECTORY_USED,
  LIST_BLOCK,
  LIST_CAPACITY,
  SCAN_PEERS_MAX,
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
import { hashOfSlot, peerCount, peerIndexOf, segmentBytes, tagBytes } from './peer-list.ts'
import { hasTags, writeTags } from './peer-tags.ts'
import type { ListRef, Slot } from './references.ts'
import type { HeldStripe } from './stripe.ts'

/**
 * Memory of a peer list: a block while it is small, segments behind a directory once it is large.
 * The caller holds the stripe's lock throughout.
 */

/**
 * Makes space for one more peer than `count`. Allocates only when the block is full, and then an
 * eighth more.
 */
export function growList(held: HeldStripe, list: ListRef, family: Family, count: number): boolean {
  const { arena } = held
  if (peerIndexOf(arena, list) !== 0) return makeSegment(held, list, family, count)
  if (count < arena.u32[(list + LIST_CAPACITY) >> 2]!) return true
  if (count === SEGMENT_PEERS) return makeLarge(held, list, family)
  return resizeBlock(held, list, family, count + 1 + (count >> 3))
}

/** Resizes the block of a small list to `wanted` peers, which is not less than it has. */
function resizeBlock(held: HeldStripe, list: ListRef, family: Family, wanted: number): boolean {
  const { arena, head: stripe } = held
  const old = arena.u32[(list + LIST_BLOCK) >> 2]!
  const oldCapacity = arena.u32[(list + LIST_CAPACITY) >> 2]!
  // Even numbers of peers are whole words, which move faster.
  const capacity = wanted > SCAN_PEERS_MAX ? Math.min(SEGMENT_PEERS, (wanted + 1) & ~1) : wanted
  const bytes = segmentBytes(family, capacity)
  const hadTags = hasTags(held, list)
  let block = old
  if (capacity < oldCapacity) {
    movePeers(held, list, family, block, capacity)
    resizeInPlace(arena, stripe, block, bytes)
  } else if (oldCapacity > 0 && resizeInPlace(arena, stripe, block, bytes)) {
    movePeers(held, list, family, block, capacity)
  } else {
    block = allocateBlock(arena, stripe, bytes)
    if (block === 0) return false
    if (oldCapacity > 0) {
      movePeers(held, list, family, block, capacity)
      freeBlock(arena, stripe, old)
    }
  }
  arena.u32[(list + LIST_BLOCK) >> 2] = block
  arena.u32[(list + LIST_CAPACITY) >> 2] = capacity
  if (!hadTags && hasTags(held, list)) writeTags(held, list, family, peerCount(arena, list))
  return true
}

/**
 * Copies tags, compact bytes and details of a small list to `block`, which has another capacity. It
 * may be the block that they are in.
 */
function movePeers(
  { arena }: HeldStripe,
  list: ListRef,
  family: Family,
  block: number,
  capacity: number,
): void {
  const from = arena.u32[(list + LIST_BLOCK) >> 2]!
  const fromCapacity = arena.u32[(list + LIST_CAPACITY) >> 2]!
  const count = peerCount(arena, list)
  const width = COMPACT_BYTES[family]
  const compact = from + tagBytes(fromCapacity)
  const toCompact = block + tagBytes(capacity)
  const details = compact + fromCapacity * width
  const toDetails = toCompact + capacity * width
  // In a block that grows, the part that moves furthest is moved first.
  if (capacity > fromCapacity) moveBytes(arena, details, toDetails, count * DETAIL_BYTES)
  moveBytes(arena, compact, toCompact, count * width)
  if (capacity < fromCapacity) moveBytes(arena, details, toDetails, count * DETAIL_BYTES)
  const tags = Math.min(tagBytes(fromCapacity), tagBytes(capacity))
  moveBytes(arena, from, block, tags)
}

/**
 * Turns a full small list into a large one: its block becomes the first segment, and a second one
 * is added.
 */
function makeLarge(held: HeldStripe, list: ListRef, family: Family): boolean {
  const { arena, head: stripe } = held
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
    indexInsert(arena, index, hashOfSlot(held, list, family, slot as Slot), slot)
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
function makeSegment(held: HeldStripe, list: ListRef, family: Family, count: number): boolean {
  const { arena, head: stripe } = held
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

/** Frees memory that is no longer needed after a removal left `count` peers. */
export function shrinkList(held: HeldStripe, list: ListRef, family: Family, count: number): void {
  const { arena, head: stripe } = held
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    if (count <= SMALL_AGAIN_PEERS) makeSmall(held, list, family, count)
    else {
      indexShrink(arena, stripe, index, count)
      dropSegment(held, list, count)
    }
    return
  }
  const capacity = arena.u32[(list + LIST_CAPACITY) >> 2]!
  if (count === 0) {
    freeBlock(arena, stripe, arena.u32[(list + LIST_BLOCK) >> 2]!)
    arena.u32[(list + LIST_BLOCK) >> 2] = 0
    arena.u32[(list + LIST_CAPACITY) >> 2] = 0
  } else if (count <= capacity >> 1) {
    resizeBlock(held, list, family, count + (count >> 2))
  }
}

/**
 * Frees the last segment once it and half of the one before it are empty, so that a list near the
 * bound does not flap.
 */
function dropSegment(held: HeldStripe, list: ListRef, count: number): void {
  const { arena, head: stripe } = held
  const directory = arena.u32[(list + LIST_BLOCK) >> 2]!
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  if (used < 2 || count > (used - 1) * SEGMENT_PEERS - (SEGMENT_PEERS >> 1)) return
  const segment = arena.u32[((directory + DIRECTORY_REFS) >> 2) + used - 1]!
  freeBlock(arena, stripe, segment)
  arena.u32[(directory + DIRECTORY_USED) >> 2] = used - 1
}

/**
 * Turns a large list into a small one. All its peers are in the first segment, the block of a small
 * list before, which holds more than SMALL_AGAIN_PEERS.
 */
function makeSmall(held: HeldStripe, list: ListRef, family: Family, count: number): void {
  const { arena, head: stripe } = held
  const directory = arena.u32[(list + LIST_BLOCK) >> 2]!
  const refs = (directory + DIRECTORY_REFS) >> 2
  freePeerIndex(arena, stripe, peerIndexOf(arena, list))
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  for (let n = 1; n < used; n++) freeBlock(arena, stripe, arena.u32[refs + n]!)
  arena.u32[(list + LIST_BLOCK) >> 2] = arena.u32[refs]!
  arena.u32[(list + LIST_CAPACITY) >> 2] = SEGMENT_PEERS
  freeBlock(arena, stripe, directory)
  resizeBlock(held, list, family, count + (count >> 2))
}
