import type { Arena } from './arena.ts'
import { allocateBlock, blockBytes, freeBlock, resizeInPlace } from './blocks.ts'
import {
  BLOCK_HEAD_BYTES,
  DIRECTORY_REFS,
  DIRECTORY_ROOM,
  DIRECTORY_USED,
  INDEX_ENTRY_BYTES,
  INDEX_MERGE_AT,
  INDEX_SMALL_ENTRIES,
  INDEX_SMALL_FULL,
  INDEX_SPLIT_AT,
} from './layout.ts'
import { NO_SLOT, type Slot, type StripeHead } from './references.ts'

/**
 * Finds a peer of a large list by its keyed hash. Linear hashing (Litwin 1980): a directory of
 * tables, of which one is split or merged at a time, so that no insertion ever rehashes a list of
 * 10 million peers under the stripe's lock. In a table: open addressing with linear probing; an
 * entry is the whole hash and slot + 1. A table that was split is small, and is replaced by a large
 * one when it fills. "Table" below is a reference as the directory has it: the word offset of the
 * entries is the reference divided by 4.
 */
const LARGE = 1
const SMALL_BYTES = INDEX_SMALL_ENTRIES * INDEX_ENTRY_BYTES + 4
/** A large table can be cut into two small ones. */
const LARGE_BYTES = 2 * SMALL_BYTES + BLOCK_HEAD_BYTES
const LARGE_ENTRIES = 2 * INDEX_SMALL_ENTRIES
/** Shift of a hash to the entry of a large table to begin with; a bit more for a small one. */
const PLACE_SHIFT = 23

function entriesOf(table: number): number {
  return INDEX_SMALL_ENTRIES << (table & LARGE)
}

function blockOf(table: number): number {
  return table & ~LARGE
}

/** The entry of a table to begin with. */
function homeOf(table: number, hash: number): number {
  return hash >>> (PLACE_SHIFT + 1 - (table & LARGE))
}

/** Word offset of the number of entries in use. */
function countAt(table: number): number {
  return (table >> 2) + entriesOf(table) * 2
}

/** Number of the table that holds `hash` when there are `used` tables. */
function tableNumber(hash: number, used: number): number {
  const level = 31 - Math.clz32(used)
  const wide = hash & ((2 << level) - 1)
  return wide < used ? wide : hash & ((1 << level) - 1)
}

/** Word offset of the directory's reference of table `number`. */
function tableRef(index: number, number: number): number {
  return ((index + DIRECTORY_REFS) >> 2) + number
}

/** Word offset of the directory's reference of the table that holds `hash`. */
function refFor(arena: Arena, index: number, hash: number): number {
  return tableRef(index, tableNumber(hash, arena.u32[(index + DIRECTORY_USED) >> 2]!))
}

/** The table that holds `hash`. */
function tableFor(arena: Arena, index: number, hash: number): number {
  return arena.u32[refFor(arena, index, hash)]!
}

/**
 * Creates an index for `peers`. Returns 0 when the memory is full. The caller inserts the entries.
 */
export function createPeerIndex(arena: Arena, stripe: StripeHead, peers: number): number {
  const tables = Math.ceil(peers / INDEX_SPLIT_AT)
  const bytes = DIRECTORY_REFS + tables * 4
  const index = allocateBlock(arena, stripe, bytes)
  if (index === 0) return 0
  arena.u32[(index + DIRECTORY_ROOM) >> 2] = (blockBytes(arena, index) - DIRECTORY_REFS) >> 2
  arena.u32[(index + DIRECTORY_USED) >> 2] = 0
  const round = 1 << (31 - Math.clz32(tables))
  for (let n = 0; n < tables; n++) {
    // Tables that the next splits of a round divide hold twice as many.
    const isSplit = n < tables - round || n >= round
    if (!addTable(arena, stripe, index, isSplit ? 0 : LARGE)) {
      freePeerIndex(arena, stripe, index)
      return 0
    }
  }
  return index
}

export function freePeerIndex(arena: Arena, stripe: StripeHead, index: number): void {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  for (let n = 0; n < used; n++) {
    freeBlock(arena, stripe, blockOf(arena.u32[tableRef(index, n)]!))
  }
  freeBlock(arena, stripe, index)
}

/** Creates an empty table, `size` is LARGE or 0. Returns 0 when the memory is full. */
function makeTable(arena: Arena, stripe: StripeHead, size: number): number {
  const bytes = size === LARGE ? LARGE_BYTES : SMALL_BYTES
  const block = allocateBlock(arena, stripe, bytes)
  if (block === 0) return 0
  arena.u32.fill(0, block >> 2, (block + bytes) >> 2)
  return block | size
}

/**
 * Appends an empty table; the directory must have a free entry. Returns false if memory is full.
 */
function addTable(arena: Arena, stripe: StripeHead, index: number, size: number): boolean {
  const table = makeTable(arena, stripe, size)
  if (table === 0) return false
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  arena.u32[tableRef(index, used)] = table
  arena.u32[(index + DIRECTORY_USED) >> 2] = used + 1
  return true
}

/**
 * Returns a directory with space for one more reference: the same one, or a larger copy; 0 when the
 * memory is full.
 */
export function directoryWithRoom(arena: Arena, stripe: StripeHead, directory: number): number {
  const used = arena.u32[(directory + DIRECTORY_USED) >> 2]!
  if (used < arena.u32[(directory + DIRECTORY_ROOM) >> 2]!) return directory
  const bytes = DIRECTORY_REFS + (used + (used >> 1) + 1) * 4
  const larger = allocateBlock(arena, stripe, bytes)
  if (larger === 0) return 0
  arena.u32.copyWithin(larger >> 2, directory >> 2, (directory + DIRECTORY_REFS + used * 4) >> 2)
  arena.u32[(larger + DIRECTORY_ROOM) >> 2] = (blockBytes(arena, larger) - DIRECTORY_REFS) >> 2
  freeBlock(arena, stripe, directory)
  return larger
}

/**
 * Returns false when the table is full, which a keyed hash and the split rule make all but
 * impossible.
 */
function insertInto(arena: Arena, table: number, hash: number, slot: number): boolean {
  const entries = entriesOf(table)
  const count = countAt(table)
  // One entry stays empty, where searches end.
  if (arena.u32[count]! >= entries - 1) return false
  const first = table >> 2
  let place = homeOf(table, hash)
  while (arena.u32[first + place * 2 + 1]! !== 0) place = (place + 1) & (entries - 1)
  arena.i32[first + place * 2] = hash
  arena.u32[first + place * 2 + 1] = slot + 1
  arena.u32[count]!++
  return true
}

/** Adds the peer at `slot`. Returns false when its table is full. */
export function indexInsert(arena: Arena, index: number, hash: number, slot: number): boolean {
  return insertInto(arena, tableFor(arena, index, hash), hash, slot)
}

/** Word offset of the entry of this hash and slot; -1 when there is none. */
function findEntry(arena: Arena, table: number, hash: number, slot: number): number {
  const first = table >> 2
  const mask = entriesOf(table) - 1
  for (let place = homeOf(table, hash); ; place = (place + 1) & mask) {
    const at = first + place * 2
    const found = arena.u32[at + 1]!
    if (found === 0) return -1
    if (found === slot + 1 && arena.i32[at]! === hash) return at
  }
}

/**
 * The first slot after `after` in probe order whose entry has this hash, or -1. Begin with -1 and
 * continue with the returned slot until its peer is the right one: two peers may share a hash.
 */
export function indexFind(arena: Arena, index: number, hash: number, after: Slot): Slot {
  const table = tableFor(arena, index, hash)
  const first = table >> 2
  const mask = entriesOf(table) - 1
  let passed = after === NO_SLOT
  for (let place = homeOf(table, hash); ; place = (place + 1) & mask) {
    const at = first + place * 2
    const found = arena.u32[at + 1]!
    if (found === 0) return NO_SLOT
    if (arena.i32[at]! === hash) {
      if (passed) return (found - 1) as Slot
      passed = found - 1 === after
    }
  }
}

/** Updates the entry of a peer that moved from one slot to another. */
export function indexMove(
  arena: Arena,
  index: number,
  hash: number,
  from: number,
  to: number,
): void {
  arena.u32[findEntry(arena, tableFor(arena, index, hash), hash, from) + 1] = to + 1
}

/** Removes the entry of this hash and slot. Later entries of its run move up. */
export function indexRemove(arena: Arena, index: number, hash: number, slot: number): void {
  const table = tableFor(arena, index, hash)
  const first = table >> 2
  const mask = entriesOf(table) - 1
  let hole = (findEntry(arena, table, hash, slot) - first) >> 1
  for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
    const at = first + next * 2
    if (arena.u32[at + 1]! === 0) break
    const home = homeOf(table, arena.i32[at]!)
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      arena.u32[first + hole * 2] = arena.u32[at]!
      arena.u32[first + hole * 2 + 1] = arena.u32[at + 1]!
      hole = next
    }
  }
  arena.u32[first + hole * 2 + 1] = 0
  arena.u32[countAt(table)]!--
}

const movedHash = new Int32Array(LARGE_ENTRIES)
const movedSlot = new Uint32Array(LARGE_ENTRIES)

/** Moves every entry of a table to the scratch arrays. Returns how many. */
function emptyTable(arena: Arena, table: number): number {
  const end = countAt(table)
  let count = 0
  for (let at = table >> 2; at < end; at += 2) {
    if (arena.u32[at + 1]! === 0) continue
    movedHash[count] = arena.i32[at]!
    movedSlot[count++] = arena.u32[at + 1]! - 1
    arena.u32[at + 1] = 0
  }
  arena.u32[end] = 0
  return count
}

/** Inserts the first `count` entries of the scratch arrays. */
function insertMoved(arena: Arena, index: number, count: number): void {
  for (let n = 0; n < count; n++) indexInsert(arena, index, movedHash[n]!, movedSlot[n]!)
}

/**
 * Makes space for further entries after the insertion of `hash`: replaces its table by a large one
 * if it is a small one that fills, or splits a table if `peers` have become many for the current
 * tables. Returns the index, which may have moved. When memory is full, the tables stay fuller than
 * they should be, which is only slower.
 */
export function indexGrow(
  arena: Arena,
  stripe: StripeHead,
  index: number,
  peers: number,
  hash: number,
): number {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  if (peers > used * INDEX_SPLIT_AT) return splitTable(arena, stripe, index, used)
  const ref = refFor(arena, index, hash)
  const table = arena.u32[ref]!
  if ((table & LARGE) === 0 && arena.u32[countAt(table)]! > INDEX_SMALL_FULL) {
    enlargeTable(arena, stripe, index, ref)
  }
  return index
}

/** Replaces the small table at `ref` by a large one, if there is memory for it. */
function enlargeTable(arena: Arena, stripe: StripeHead, index: number, ref: number): void {
  const large = makeTable(arena, stripe, LARGE)
  if (large === 0) return
  const small = arena.u32[ref]!
  const count = emptyTable(arena, small)
  arena.u32[ref] = large
  insertMoved(arena, index, count)
  freeBlock(arena, stripe, small)
}

/** A table of at most this many entries is split into two small ones, with unequal shares. */
const SMALL_HALVES = 280

/** Splits the next one of `used` tables. Returns the index. */
function splitTable(arena: Arena, stripe: StripeHead, index: number, used: number): number {
  const grown = directoryWithRoom(arena, stripe, index)
  if (grown === 0) return index
  const ref = tableRef(grown, used - (1 << (31 - Math.clz32(used))))
  const table = arena.u32[ref]!
  const count = emptyTable(arena, table)
  const size = count > SMALL_HALVES ? LARGE : 0
  // The other half of a table that is cut has space for the new one, so that `addTable` succeeds.
  if (size === 0 && (table & LARGE) !== 0) cutTable(arena, stripe, ref)
  addTable(arena, stripe, grown, size)
  insertMoved(arena, grown, count)
  return grown
}

/** Makes the large table at `ref`, which is empty, a small one. */
function cutTable(arena: Arena, stripe: StripeHead, ref: number): void {
  const block = blockOf(arena.u32[ref]!)
  resizeInPlace(arena, stripe, block, SMALL_BYTES)
  arena.u32[ref] = block
  arena.u32[countAt(block)] = 0
}

/** Merges the last table into the one that it was split from, if `peers` have become few. */
export function indexShrink(arena: Arena, stripe: StripeHead, index: number, peers: number): void {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  if (used < 2 || peers >= used * INDEX_MERGE_AT) return
  const last = arena.u32[tableRef(index, used - 1)]!
  const into = used - 1 - (1 << (31 - Math.clz32(used - 1)))
  const sum = arena.u32[countAt(last)]! + arena.u32[countAt(arena.u32[tableRef(index, into)]!)]!
  if (sum > INDEX_SMALL_FULL) return
  const count = emptyTable(arena, last)
  arena.u32[(index + DIRECTORY_USED) >> 2] = used - 1
  insertMoved(arena, index, count)
  freeBlock(arena, stripe, blockOf(last))
}
