import { type HashKey, hashInfoHash } from './keyed-hash.ts'

/**
 * A map from 20-byte keys to u32 values in shared memory: whitelist, blacklist, keys and users. One
 * thread writes; any number of threads read at the same time, without a lock and without waiting.
 * Open addressing with linear probing. A full table is rebuilt in the other half of the memory,
 * which becomes the active half then.
 *
 * A reader never sees half an entry: a slot is written once, its tag last, and holds no other key
 * until its half is rebuilt. A reader whose half was replaced meanwhile detects that by the
 * generation and reads again.
 */
export type SharedHashTable = {
  readonly memory: SharedArrayBuffer
  readonly hashKey: HashKey
}

export type HashTable = {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly hashKey: HashKey
  /** Words of one half. */
  readonly halfWords: number
}

/** Head of the memory, in words. */
const ACTIVE = 0 // generation of the active half; the lowest bit says which half that is
const COUNT = 1 // keys
const HEAD_WORDS = 16
/** Head of a half. */
const SIZE = 0 // slots, a power of two
const USED = 1 // slots that have ever held a key
const HALF_HEAD_WORDS = 16

/** A slot, in words. */
const TAG = 0 // FREE, REMOVED, or the hash of the key with the bit LIVE set
const VALUE = 1
const KEY = 2
const KEY_WORDS = 5
/** Half a cache line, so that a slot lies in one line. */
const SLOT_WORDS = 8

const FREE = 0
const REMOVED = 1
const LIVE = 2

const SIZE_MIN = 1024

/** Reserves address space for at least `keysMax` keys; memory is used as keys are added. */
export function createHashTable(keysMax: number, hashKey: HashKey): SharedHashTable {
  // A table is rebuilt once it is half full: twice as many slots, and a power of two.
  const size = 2 ** Math.ceil(Math.log2(Math.max(SIZE_MIN, keysMax * 2)))
  const halfWords = HALF_HEAD_WORDS + size * SLOT_WORDS
  const memory = new SharedArrayBuffer((HEAD_WORDS + 2 * halfWords) * 4)
  new Int32Array(memory)[HEAD_WORDS + SIZE] = SIZE_MIN
  return { memory, hashKey }
}

export function openHashTable({ memory, hashKey }: SharedHashTable): HashTable {
  const words = new Int32Array(memory)
  return { words, hashKey, halfWords: (words.length - HEAD_WORDS) / 2 }
}

/** Whether the table has keys: a plain read, which costs less than `keyCount`. */
export function hasKeys(table: HashTable): boolean {
  return table.words[COUNT] !== 0
}

/** Number of keys in the table. */
export function keyCount(table: HashTable): number {
  return Atomics.load(table.words, COUNT)
}

/** Returned by `findValue` for a key that is not in the table; no value may be this. */
export const ABSENT = -1

/** Returns the value of the 20-byte key at `at`, from 0 to 2^32 - 2, or ABSENT. */
export function findValue(table: HashTable, view: DataView, at: number): number {
  return findHashed(table, hashInfoHash(table.hashKey, view, at), view, at)
}

/**
 * Does the same for a key whose hash, by this table's hash key, is known. The result holds only if
 * the generation is the same afterwards: two rebuilds put another key into the slot that was found,
 * and one rebuild empties the half that was searched.
 */
export function findHashed(table: HashTable, hash: number, view: DataView, at: number): number {
  const { words } = table
  for (;;) {
    // Plain reads, because atomic ones are function calls. An old generation is detected below, and
    // `findSlot` has read the tag atomically, so the value is not older than the tag.
    const active = words[ACTIVE]!
    const slot = findSlot(table, halfOf(table, active), hash, view, at)
    const value = slot === 0 ? ABSENT : words[slot + VALUE]! >>> 0
    if (Atomics.load(words, ACTIVE) === active) return value
  }
}

function halfOf(table: HashTable, active: number): number {
  return HEAD_WORDS + (active & 1) * table.halfWords
}

/** Finds the slot of a key; 0 when there is none. */
function findSlot(
  { words }: HashTable,
  half: number,
  hash: number,
  view: DataView,
  at: number,
): number {
  const mask = words[half + SIZE]! - 1
  const tag = hash | LIVE
  for (let n = 0, probe = probeOf(hash) & mask; n <= mask; n++, probe = (probe + 1) & mask) {
    const slot = half + HALF_HEAD_WORDS + probe * SLOT_WORDS
    const found = words[slot + TAG]!
    if (found === FREE) return 0
    // The atomic load orders the key after the tag; a slot that is being written is skipped.
    if (found === tag && Atomics.load(words, slot + TAG) === tag) {
      if (sameKey(words, slot + KEY, view, at)) return slot
    }
  }
  return 0
}

/** Drops the lowest bits, which the tag replaces with its state. */
function probeOf(hash: number): number {
  return hash >>> 2
}

/** Whether the 20 bytes from word `key` on are those at `at` of `view`. */
export function sameKey(
  words: Int32Array<SharedArrayBuffer>,
  key: number,
  view: DataView,
  at: number,
): boolean {
  return (
    words[key] === view.getInt32(at, true) &&
    words[key + 1] === view.getInt32(at + 4, true) &&
    words[key + 2] === view.getInt32(at + 8, true) &&
    words[key + 3] === view.getInt32(at + 12, true) &&
    words[key + 4] === view.getInt32(at + 16, true)
  )
}

/**
 * Adds the 20-byte key at `at`, or changes its value. Returns false if the table is full. Only the
 * one thread that writes calls this function and those below.
 */
export function setValue(table: HashTable, view: DataView, at: number, value: number): boolean {
  const { words } = table
  const hash = hashInfoHash(table.hashKey, view, at)
  let half = halfOf(table, Atomics.load(words, ACTIVE))
  const slot = findSlot(table, half, hash, view, at)
  if (slot !== 0) {
    Atomics.store(words, slot + VALUE, value)
    return true
  }
  if (words[half + USED]! * 2 >= words[half + SIZE]!) {
    if (!rebuild(table)) return false
    half = halfOf(table, Atomics.load(words, ACTIVE))
  }
  const target = freeSlot(words, half, hash)
  words[target + VALUE] = value
  for (let n = 0; n < KEY_WORDS; n++) words[target + KEY + n] = view.getInt32(at + n * 4, true)
  Atomics.store(words, target + TAG, hash | LIVE)
  words[half + USED] = words[half + USED]! + 1
  Atomics.add(words, COUNT, 1)
  return true
}

function freeSlot(words: Int32Array<SharedArrayBuffer>, half: number, hash: number): number {
  const mask = words[half + SIZE]! - 1
  let probe = probeOf(hash) & mask
  for (;;) {
    const slot = half + HALF_HEAD_WORDS + probe * SLOT_WORDS
    if (words[slot + TAG] === FREE) return slot
    probe = (probe + 1) & mask
  }
}

/** Removes the key at `at`. Returns whether it was in the table. */
export function removeValue(table: HashTable, view: DataView, at: number): boolean {
  const { words } = table
  const hash = hashInfoHash(table.hashKey, view, at)
  const slot = findSlot(table, halfOf(table, Atomics.load(words, ACTIVE)), hash, view, at)
  if (slot === 0) return false
  Atomics.store(words, slot + TAG, REMOVED)
  Atomics.sub(words, COUNT, 1)
  return true
}

/** Removes all keys. */
export function clearTable(table: HashTable): void {
  Atomics.store(table.words, COUNT, 0)
  changeHalves(table, SIZE_MIN)
}

/** Copies the live keys into the other half, with four slots per key, or two if more do not fit. */
function rebuild(table: HashTable): boolean {
  const { words, halfWords } = table
  const sizeMax = (halfWords - HALF_HEAD_WORDS) / SLOT_WORDS
  const count = Atomics.load(words, COUNT)
  if (count * 2 >= sizeMax) return false
  let size = SIZE_MIN
  while (size < count * 4 && size < sizeMax) size *= 2
  changeHalves(table, size, (half, other) => {
    for (let probe = 0; probe < words[half + SIZE]!; probe++) {
      const slot = half + HALF_HEAD_WORDS + probe * SLOT_WORDS
      const tag = words[slot + TAG]!
      if (tag === FREE || tag === REMOVED) continue
      words.copyWithin(freeSlotOfCopy(words, other, slot), slot, slot + SLOT_WORDS)
    }
    words[other + USED] = count
  })
  return true
}

function freeSlotOfCopy(words: Int32Array<SharedArrayBuffer>, half: number, slot: number): number {
  // The tag differs from the hash only in bits that `probeOf` leaves out.
  return freeSlot(words, half, words[slot + TAG]!)
}

/** Empties the other half, `size` slots of it, calls `fill`, and makes it the active half. */
function changeHalves(
  table: HashTable,
  size: number,
  fill: (half: number, other: number) => void = () => {},
): void {
  const { words } = table
  const active = Atomics.load(words, ACTIVE)
  const other = halfOf(table, active + 1)
  words.fill(0, other, other + HALF_HEAD_WORDS + size * SLOT_WORDS)
  words[other + SIZE] = size
  fill(halfOf(table, active), other)
  Atomics.store(words, ACTIVE, (active + 1) | 0)
}

/** Receives a key, 20 bytes at `at` of `bytes`, with its value. It must not change the table. */
export type VisitKey = (bytes: Uint8Array, at: number, value: number) => void

export function eachKey(table: HashTable, visit: VisitKey): void {
  someKeys(table, 0, Number.POSITIVE_INFINITY, visit)
}

/**
 * Visits at most `most` keys from `place` on. Returns the place of the next key, -1 at the end. A
 * table that is rebuilt between two calls may yield a key twice or not at all.
 */
export function someKeys(table: HashTable, place: number, most: number, visit: VisitKey): number {
  const { words } = table
  const bytes = new Uint8Array(words.buffer)
  const half = halfOf(table, Atomics.load(words, ACTIVE))
  let left = most
  for (let probe = place; probe < words[half + SIZE]!; probe++) {
    const slot = half + HALF_HEAD_WORDS + probe * SLOT_WORDS
    const tag = words[slot + TAG]!
    if (tag === FREE || tag === REMOVED) continue
    if (left-- === 0) return probe
    visit(bytes, (slot + KEY) * 4, words[slot + VALUE]! >>> 0)
  }
  return -1
}
