import { type Arena, takeFromArena } from './arena.ts'
import {
  BLOCK_HEAD_BYTES,
  BLOCK_PAYLOAD_MIN,
  CLASS_COUNT,
  STRIPE_CHUNK_END,
  STRIPE_CHUNKS,
  STRIPE_CLASS_MAP,
  STRIPE_FREE,
  STRIPE_TAKEN,
  STRIPE_USED,
  STRIPE_USED_CLASSES,
  USED_CLASS_BYTES,
} from './layout.ts'
import type { StripeHead } from './references.ts'

/**
 * A stripe's block allocator: TLSF (Masmano, Ripoll, Crespo, Real 2004). Free blocks are on lists
 * by size class. Adjacent free blocks are always merged, so that the blocks that a growing list
 * leaves behind become space for the next one. Allocating and freeing cost the same few steps at
 * any size. The caller holds the stripe's lock throughout.
 *
 * The word before a block's first byte is the block's length, a multiple of 4, and two flags. The
 * first two words of a free block are the next and the previous block of its list; its last word is
 * its own offset, by which the following block finds it.
 */
const FREE = 1
const PREVIOUS_FREE = 2
const FLAGS = 3
const NEXT = 0
const PREVIOUS = 4

/**
 * A stripe allocates chunks from the arena that grow with the stripe, and with the block that does
 * not fit: the former blocks of a list that grows alone are then adjacent and are merged. The
 * untouched part of a chunk uses no memory.
 */
const CHUNK_BYTES_MIN = 2 * 1024
const CHUNK_BYTES_MAX = 128 * 1024

/**
 * Size class of a block. Blocks of a class differ by at most an eighth; below 64 bytes every length
 * has its own.
 */
function classOf(bytes: number): number {
  const words = bytes >> 2
  if (words < 16) return words
  const octave = 31 - Math.clz32(words)
  return 16 + (octave - 4) * 8 + ((words >> (octave - 3)) & 7)
}

/** The first class in which every block holds `bytes`. */
function classThatHolds(bytes: number): number {
  const words = bytes >> 2
  return words < 16 ? words : classOf((words + (1 << (28 - Math.clz32(words))) - 1) << 2)
}

/** Bytes of the block at `at`: at least the requested size. */
export function blockBytes(arena: Arena, at: number): number {
  return (arena.u32[(at - BLOCK_HEAD_BYTES) >> 2]! & ~FLAGS) >>> 0
}

/**
 * Allocates a block of at least `bytes` with undefined contents. Returns 0 when neither the stripe
 * nor the arena has space.
 */
export function allocateBlock(arena: Arena, stripe: StripeHead, bytes: number): number {
  const size = Math.max(BLOCK_PAYLOAD_MIN, (bytes + 3) & ~3)
  const block = findFree(arena, stripe, size) || takeChunk(arena, stripe, size)
  if (block === 0) return 0
  takeFree(arena, stripe, block)
  cutTail(arena, stripe, block, size)
  addUsed(arena, stripe, blockBytes(arena, block), 1)
  return block
}

export function freeBlock(arena: Arena, stripe: StripeHead, block: number): void {
  addUsed(arena, stripe, blockBytes(arena, block), -1)
  putFree(arena, stripe, block, blockBytes(arena, block))
}

/**
 * Resizes the block to `bytes` in place: shrinking always succeeds, growing only if the memory
 * behind it is free. The contents up to the shorter length are preserved. Returns whether it
 * succeeded.
 */
export function resizeInPlace(
  arena: Arena,
  stripe: StripeHead,
  block: number,
  bytes: number,
): boolean {
  const size = Math.max(BLOCK_PAYLOAD_MIN, (bytes + 3) & ~3)
  const old = blockBytes(arena, block)
  if (size > old) {
    const behind = block + old + BLOCK_HEAD_BYTES
    const head = arena.u32[(behind - BLOCK_HEAD_BYTES) >> 2]!
    const joined = old + BLOCK_HEAD_BYTES + ((head & ~FLAGS) >>> 0)
    if ((head & FREE) === 0 || joined < size) return false
    takeFree(arena, stripe, behind)
    const at = (block - BLOCK_HEAD_BYTES) >> 2
    arena.u32[at] = joined | (arena.u32[at]! & FLAGS)
  }
  cutTail(arena, stripe, block, size)
  addUsed(arena, stripe, old, -1)
  addUsed(arena, stripe, blockBytes(arena, block), 1)
  return true
}

/** Index in USED_CLASS_BYTES of a block of `bytes`. */
function usedClassOf(bytes: number): number {
  return Math.min(USED_CLASS_BYTES.length - 1, (33 - Math.clz32((bytes - 1) >> 6)) >> 1)
}

/** Adds a block of `bytes`, including its head, to the counts of used blocks, or subtracts it. */
function addUsed(arena: Arena, stripe: StripeHead, bytes: number, sign: 1 | -1): void {
  const amount = sign * (bytes + BLOCK_HEAD_BYTES)
  arena.u32[(stripe + STRIPE_USED) >> 2]! += amount
  arena.u32[((stripe + STRIPE_USED_CLASSES) >> 2) + usedClassOf(bytes)]! += amount
}

/**
 * Finds a free block that holds `size`: the first one of its own class if it does, otherwise one of
 * the next higher class that has any.
 */
function findFree(arena: Arena, stripe: StripeHead, size: number): number {
  const own = arena.u32[(stripe + STRIPE_FREE + classOf(size) * 4) >> 2]!
  if (own !== 0 && blockBytes(arena, own) >= size) return own
  const first = classThatHolds(size)
  let word = first >> 5
  let bits = arena.u32[((stripe + STRIPE_CLASS_MAP) >> 2) + word]! & (-1 << (first & 31))
  while (bits === 0) {
    if (++word > (CLASS_COUNT - 1) >> 5) return 0
    bits = arena.u32[((stripe + STRIPE_CLASS_MAP) >> 2) + word]!
  }
  const sizeClass = word * 32 + 31 - Math.clz32(bits & -bits)
  return arena.u32[(stripe + STRIPE_FREE + sizeClass * 4) >> 2]!
}

/** Removes a free block from its list. It is a used block of the same length then. */
function takeFree(arena: Arena, stripe: StripeHead, block: number): void {
  const size = blockBytes(arena, block)
  unlink(arena, stripe, block, size)
  arena.u32[(block - BLOCK_HEAD_BYTES) >> 2]! &= ~FREE
  arena.u32[(block + size) >> 2]! &= ~PREVIOUS_FREE
}

/** Frees the part of a used block past `size`, if that is large enough for a block. */
function cutTail(arena: Arena, stripe: StripeHead, block: number, size: number): void {
  const left = blockBytes(arena, block) - size - BLOCK_HEAD_BYTES
  if (left < BLOCK_PAYLOAD_MIN) return
  const at = (block - BLOCK_HEAD_BYTES) >> 2
  arena.u32[at] = size | (arena.u32[at]! & FLAGS)
  const tail = block + size + BLOCK_HEAD_BYTES
  arena.u32[(tail - BLOCK_HEAD_BYTES) >> 2] = left
  putFree(arena, stripe, tail, left)
}

/** Frees a used block, merges it with its free neighbours, and puts it on its list. */
function putFree(arena: Arena, stripe: StripeHead, block: number, bytes: number): void {
  let from = block
  let size = bytes
  const behind = block + bytes + BLOCK_HEAD_BYTES
  if ((arena.u32[(behind - BLOCK_HEAD_BYTES) >> 2]! & FREE) !== 0) {
    const extra = blockBytes(arena, behind)
    unlink(arena, stripe, behind, extra)
    size += BLOCK_HEAD_BYTES + extra
  }
  if ((arena.u32[(block - BLOCK_HEAD_BYTES) >> 2]! & PREVIOUS_FREE) !== 0) {
    from = arena.u32[(block - BLOCK_HEAD_BYTES - 4) >> 2]!
    const extra = blockBytes(arena, from)
    unlink(arena, stripe, from, extra)
    size += BLOCK_HEAD_BYTES + extra
  }
  arena.u32[(from - BLOCK_HEAD_BYTES) >> 2] = size | FREE
  arena.u32[(from + size - 4) >> 2] = from
  arena.u32[(from + size) >> 2]! |= PREVIOUS_FREE
  const sizeClass = classOf(size)
  const head = (stripe + STRIPE_FREE + sizeClass * 4) >> 2
  const next = arena.u32[head]!
  arena.u32[(from + NEXT) >> 2] = next
  arena.u32[(from + PREVIOUS) >> 2] = 0
  if (next !== 0) arena.u32[(next + PREVIOUS) >> 2] = from
  arena.u32[head] = from
  arena.u32[((stripe + STRIPE_CLASS_MAP) >> 2) + (sizeClass >> 5)]! |= 1 << (sizeClass & 31)
}

function unlink(arena: Arena, stripe: StripeHead, block: number, size: number): void {
  const next = arena.u32[(block + NEXT) >> 2]!
  const previous = arena.u32[(block + PREVIOUS) >> 2]!
  if (next !== 0) arena.u32[(next + PREVIOUS) >> 2] = previous
  if (previous !== 0) {
    arena.u32[(previous + NEXT) >> 2] = next
    return
  }
  const sizeClass = classOf(size)
  arena.u32[(stripe + STRIPE_FREE + sizeClass * 4) >> 2] = next
  if (next === 0) {
    arena.u32[((stripe + STRIPE_CLASS_MAP) >> 2) + (sizeClass >> 5)]! &= ~(1 << (sizeClass & 31))
  }
}

/**
 * Allocates a chunk from the arena and returns the free block that it became part of; 0 when the
 * arena is full. A chunk ends with an empty used block, so that no merge goes past its end. A chunk
 * that lies behind the stripe's last chunk continues it.
 */
function takeChunk(arena: Arena, stripe: StripeHead, size: number): number {
  const taken = arena.u32[(stripe + STRIPE_TAKEN) >> 2]!
  const wish = Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, (taken >> 2) & -16))
  let bytes = (Math.max(size * 4 + 2 * BLOCK_HEAD_BYTES, wish) + 15) & -16
  let chunk = takeFromArena(arena, bytes)
  if (chunk === 0) {
    bytes = (size + 2 * BLOCK_HEAD_BYTES + 15) & -16
    chunk = takeFromArena(arena, bytes)
    if (chunk === 0) return 0
  }
  arena.u32[(stripe + STRIPE_TAKEN) >> 2] = taken + bytes
  let block = chunk + BLOCK_HEAD_BYTES
  let previousFree = 0
  if (chunk === arena.u32[(stripe + STRIPE_CHUNK_END) >> 2]!) {
    block = chunk
    previousFree = arena.u32[(block - BLOCK_HEAD_BYTES) >> 2]! & PREVIOUS_FREE
  } else {
    arena.u32[(stripe + STRIPE_CHUNKS) >> 2]!++
  }
  const end = chunk + bytes
  arena.u32[(stripe + STRIPE_CHUNK_END) >> 2] = end
  arena.u32[(end - BLOCK_HEAD_BYTES) >> 2] = 0
  const left = end - BLOCK_HEAD_BYTES - block
  arena.u32[(block - BLOCK_HEAD_BYTES) >> 2] = left | previousFree
  putFree(arena, stripe, block, left)
  return arena.u32[(end - BLOCK_HEAD_BYTES - 4) >> 2]!
}

/** Bytes on the stripe's free lists, including their heads. Walks all lists: for tests. */
export function freeBytes(arena: Arena, stripe: StripeHead): number {
  let sum = 0
  for (let sizeClass = 0; sizeClass < CLASS_COUNT; sizeClass++) {
    let block = arena.u32[(stripe + STRIPE_FREE + sizeClass * 4) >> 2]!
    for (; block !== 0; block = arena.u32[(block + NEXT) >> 2]!)
      sum += blockBytes(arena, block) + BLOCK_HEAD_BYTES
  }
  return sum
}
