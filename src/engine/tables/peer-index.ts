import type { Arena } from './arena.ts'
import { allocateBlock, blockBytes, freeBlock } from './blocks.ts'
import {
  DIRECTORY_REFS,
  DIRECTORY_ROOM,
  DIRECTORY_USED,
  INDEX_ENTRY_BYTES,
  INDEX_MERGE_AT,
  INDEX_SPLIT_AT,
  INDEX_TABLE_ENTRIES,
} from './layout.ts'
import { NO_SLOT, type Slot, type StripeHead } from './references.ts'

/**
 * Finds a peer of a large list by its keyed hash. Linear hashing (Litwin 1980): a directory of
 * fixed-size tables, of which one is split or merged at a time, so that no insertion ever rehashes
 * a list of 10 million peers under the stripe's lock. In a table: open addressing with linear
 * probing; an entry is the whole hash and slot + 1.
 */
const TABLE_BYTES = INDEX_TABLE_ENTRIES * INDEX_ENTRY_BYTES
const PLACE_MASK = INDEX_TABLE_ENTRIES - 1
const PLACE_SHIFT = 22
/**
 * A probe this long means that the table is practically full. With the split rule and a keyed hash
 * that does not happen.
 */
const PROBES_MAX = INDEX_TABLE_ENTRIES / 2

/** Number of the table that holds `hash` when there are `used` tables. */
function tableNumber(hash: number, used: number): number {
  const level = 31 - Math.clz32(used)
  const wide = hash & ((2 << level) - 1)
  return wide < used ? wide : hash & ((1 << level) - 1)
}

/** Word offset of the table that holds `hash`. */
function tableFor(arena: Arena, index: number, hash: number): number {
  const number = tableNumber(hash, arena.u32[(index + DIRECTORY_USED) >> 2]!)
  return arena.u32[((index + DIRECTORY_REFS) >> 2) + number]! >> 2
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
  for (let n = 0; n < tables; n++) {
    if (addTable(arena, stripe, index) === 0) {
      freePeerIndex(arena, stripe, index)
      return 0
    }
  }
  return index
}

export function freePeerIndex(arena: Arena, stripe: StripeHead, index: number): void {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  for (let n = 0; n < used; n++) {
    freeBlock(arena, stripe, arena.u32[((index + DIRECTORY_REFS) >> 2) + n]!)
  }
  freeBlock(arena, stripe, index)
}

/** Appends an empty table; the directory must have a free entry. */
function addTable(arena: Arena, stripe: StripeHead, index: number): number {
  const table = allocateBlock(arena, stripe, TABLE_BYTES)
  if (table === 0) return 0
  arena.u32.fill(0, table >> 2, (table + TABLE_BYTES) >> 2)
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  arena.u32[((index + DIRECTORY_REFS) >> 2) + used] = table
  arena.u32[(index + DIRECTORY_USED) >> 2] = used + 1
  return table
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
  let place = hash >>> PLACE_SHIFT
  for (let n = 0; n < PROBES_MAX; n++) {
    const at = table + place * 2
    if (arena.u32[at + 1]! === 0) {
      arena.i32[at] = hash
      arena.u32[at + 1] = slot + 1
      return true
    }
    place = (place + 1) & PLACE_MASK
  }
  return false
}

/** Adds the peer at `slot`. Returns false when its table is full. */
export function indexInsert(arena: Arena, index: number, hash: number, slot: number): boolean {
  return insertInto(arena, tableFor(arena, index, hash), hash, slot)
}

/** Word offset of the entry of this hash and slot; -1 when there is none. */
function findEntry(arena: Arena, table: number, hash: number, slot: number): number {
  let place = hash >>> PLACE_SHIFT
  for (let n = 0; n < INDEX_TABLE_ENTRIES; n++) {
    const at = table + place * 2
    const found = arena.u32[at + 1]!
    if (found === 0) return -1
    if (found === slot + 1 && arena.i32[at]! === hash) return at
    place = (place + 1) & PLACE_MASK
  }
  return -1
}

/**
 * The first slot after `after` in probe order whose entry has this hash, or -1. Begin with -1 and
 * continue with the returned slot until its peer is the right one: two peers may share a hash.
 */
export function indexFind(arena: Arena, index: number, hash: number, after: Slot): Slot {
  const table = tableFor(arena, index, hash)
  let place = hash >>> PLACE_SHIFT
  let passed = after === NO_SLOT
  for (let n = 0; n < INDEX_TABLE_ENTRIES; n++) {
    const at = table + place * 2
    const found = arena.u32[at + 1]!
    if (found === 0) return NO_SLOT
    if (arena.i32[at]! === hash) {
      if (passed) return (found - 1) as Slot
      passed = found - 1 === after
    }
    place = (place + 1) & PLACE_MASK
  }
  return NO_SLOT
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
  let hole = (findEntry(arena, table, hash, slot) - table) >> 1
  for (let next = (hole + 1) & PLACE_MASK; ; next = (next + 1) & PLACE_MASK) {
    const at = table + next * 2
    if (arena.u32[at + 1]! === 0) break
    const home = arena.u32[at]! >>> PLACE_SHIFT
    if (((next - home) & PLACE_MASK) >= ((next - hole) & PLACE_MASK)) {
      arena.u32[table + hole * 2] = arena.u32[at]!
      arena.u32[table + hole * 2 + 1] = arena.u32[at + 1]!
      hole = next
    }
  }
  arena.u32[table + hole * 2 + 1] = 0
}

const movedHash = new Int32Array(INDEX_TABLE_ENTRIES)
const movedSlot = new Uint32Array(INDEX_TABLE_ENTRIES)

/** Moves every entry of a table to the scratch arrays. Returns how many. */
function emptyTable(arena: Arena, table: number): number {
  let count = 0
  for (let at = table; at < table + INDEX_TABLE_ENTRIES * 2; at += 2) {
    if (arena.u32[at + 1]! === 0) continue
    movedHash[count] = arena.i32[at]!
    movedSlot[count++] = arena.u32[at + 1]! - 1
    arena.u32[at + 1] = 0
  }
  return count
}

/**
 * Splits one table if `peers` have become many for the current tables. Returns the index, which may
 * have moved. When memory is full, the tables stay fuller than they should be, which is only
 * slower.
 */
export function indexGrow(arena: Arena, stripe: StripeHead, index: number, peers: number): number {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  if (peers <= used * INDEX_SPLIT_AT) return index
  const grown = directoryWithRoom(arena, stripe, index)
  if (grown === 0) return index
  if (addTable(arena, stripe, grown) === 0) return grown
  const split = used - (1 << (31 - Math.clz32(used)))
  const table = arena.u32[((grown + DIRECTORY_REFS) >> 2) + split]! >> 2
  const count = emptyTable(arena, table)
  for (let n = 0; n < count; n++) indexInsert(arena, grown, movedHash[n]!, movedSlot[n]!)
  return grown
}

/** Merges the last table into the one that it was split from, if `peers` have become few. */
export function indexShrink(arena: Arena, stripe: StripeHead, index: number, peers: number): void {
  const used = arena.u32[(index + DIRECTORY_USED) >> 2]!
  if (used < 2 || peers >= used * INDEX_MERGE_AT) return
  const last = arena.u32[((index + DIRECTORY_REFS) >> 2) + used - 1]!
  const count = emptyTable(arena, last >> 2)
  arena.u32[(index + DIRECTORY_USED) >> 2] = used - 1
  for (let n = 0; n < count; n++) indexInsert(arena, index, movedHash[n]!, movedSlot[n]!)
  freeBlock(arena, stripe, last)
}
