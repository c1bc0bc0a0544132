import { type HashKey, hashInfoHash } from './keyed-hash.ts'

/**
 * A set of 20-byte keys, each with a u32, in shared memory: whitelist, blacklist, keys and users. One thread writes; any number read at the
 * same time, without a lock and without waiting. Open addressing with linear probing; never grown in place: what is full is built anew in
 * the other half of the memory, and then the halves change places.
 *
 * Why a reader never sees half an entry: a place is written once, its tag last, and is not used for another key until the half is built
 * anew; a reader whose half became the other one meanwhile reads again.
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
const ACTIVE = 0 // generation of the half to read; its lowest bit is the half
const COUNT = 1 // keys
const HEAD_WORDS = 16
/** Head of a half. */
const SIZE = 0 // places, a power of two
const USED = 1 // places that have ever held a key
const HALF_HEAD_WORDS = 16

/** A place, in words. */
const TAG = 0 // 0 free, 1 a key that was removed, else the key's hash with this bit set
const VALUE = 1
const KEY = 2
const KEY_WORDS = 5
/** Half a cache line, so that a look at a place is one. */
const PLACE_WORDS = 8

const FREE = 0
const REMOVED = 1
const LIVE = 2

const SIZE_MIN = 1024

/** Reserves address space for `keysMax` keys at least; memory is used as they come. */
export function createHashTable(keysMax: number, hashKey: HashKey): SharedHashTable {
  // Half full at most when it is built anew, so twice as many places, and a power of two.
  const size = 2 ** Math.ceil(Math.log2(Math.max(SIZE_MIN, keysMax * 2)))
  const halfWords = HALF_HEAD_WORDS + size * PLACE_WORDS
  const memory = new SharedArrayBuffer((HEAD_WORDS + 2 * halfWords) * 4)
  new Int32Array(memory)[HEAD_WORDS + SIZE] = SIZE_MIN
  return { memory, hashKey }
}

export function openHashTable({ memory, hashKey }: SharedHashTable): HashTable {
  const words = new Int32Array(memory)
  return { words, hashKey, halfWords: (words.length - HEAD_WORDS) / 2 }
}

/** Keys in the table. */
export function keyCount(table: HashTable): number {
  return Atomics.load(table.words, COUNT)
}

/** What `findValue` returns for a key that is not there; no value may be this. */
export const ABSENT = -1

/** Value of the 20-byte key at `at`, from 0 to 2^32 - 2, or ABSENT. */
export function findValue(table: HashTable, view: DataView, at: number): number {
  return findHashed(table, hashInfoHash(table.hashKey, view, at), view, at)
}

/**
 * The same where the key's hash, by this table's key, is known already. One atomic load for each answer: they are calls, and dear. A key that is
 * found is right whatever half it lay in; only a key that is not may have been looked for in a half that was just emptied.
 */
export function findHashed(table: HashTable, hash: number, view: DataView, at: number): number {
  const { words } = table
  for (;;) {
    const active = words[ACTIVE]!
    const place = findPlace(table, halfOf(table, active), hash, view, at)
    if (place !== 0) return words[place + VALUE]! >>> 0
    if (Atomics.load(words, ACTIVE) === active) return ABSENT
  }
}

function halfOf(table: HashTable, active: number): number {
  return HEAD_WORDS + (active & 1) * table.halfWords
}

/** The place of a key, 0 when there is none. */
function findPlace(
  { words }: HashTable,
  half: number,
  hash: number,
  view: DataView,
  at: number,
): number {
  const mask = words[half + SIZE]! - 1
  const tag = hash | LIVE
  for (let n = 0, probe = placeOf(hash) & mask; n <= mask; n++, probe = (probe + 1) & mask) {
    const place = half + HALF_HEAD_WORDS + probe * PLACE_WORDS
    const found = words[place + TAG]!
    if (found === FREE) return 0
    // The atomic load orders the key behind the tag; a place that is just being written is passed over.
    if (found === tag && Atomics.load(words, place + TAG) === tag) {
      if (sameKey(words, place + KEY, view, at)) return place
    }
  }
  return 0
}

/** The low bits choose a torrent's stripe, and the tables of a tracker are sought by the same hash. */
function placeOf(hash: number): number {
  return hash >>> 2
}

function sameKey(
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
 * Adds the 20-byte key at `at`, or changes its value. Returns false when the table has no room left. For the one thread that writes, as are
 * the functions below.
 */
export function setValue(table: HashTable, view: DataView, at: number, value: number): boolean {
  const { words } = table
  const hash = hashInfoHash(table.hashKey, view, at)
  let half = halfOf(table, Atomics.load(words, ACTIVE))
  const place = findPlace(table, half, hash, view, at)
  if (place !== 0) {
    Atomics.store(words, place + VALUE, value)
    return true
  }
  if (words[half + USED]! * 2 >= words[half + SIZE]!) {
    if (!rebuild(table)) return false
    half = halfOf(table, Atomics.load(words, ACTIVE))
  }
  const target = freePlace(words, half, hash)
  words[target + VALUE] = value
  for (let n = 0; n < KEY_WORDS; n++) words[target + KEY + n] = view.getInt32(at + n * 4, true)
  Atomics.store(words, target + TAG, hash | LIVE)
  words[half + USED] = words[half + USED]! + 1
  Atomics.add(words, COUNT, 1)
  return true
}

function freePlace(words: Int32Array<SharedArrayBuffer>, half: number, hash: number): number {
  const mask = words[half + SIZE]! - 1
  let probe = placeOf(hash) & mask
  for (;;) {
    const place = half + HALF_HEAD_WORDS + probe * PLACE_WORDS
    if (words[place + TAG] === FREE) return place
    probe = (probe + 1) & mask
  }
}

/** Takes the key at `at` out. Returns whether it was there. */
export function removeValue(table: HashTable, view: DataView, at: number): boolean {
  const { words } = table
  const hash = hashInfoHash(table.hashKey, view, at)
  const place = findPlace(table, halfOf(table, Atomics.load(words, ACTIVE)), hash, view, at)
  if (place === 0) return false
  Atomics.store(words, place + TAG, REMOVED)
  Atomics.sub(words, COUNT, 1)
  return true
}

/** Takes all keys out. */
export function clearTable(table: HashTable): void {
  Atomics.store(table.words, COUNT, 0)
  changeHalves(table, SIZE_MIN)
}

/** Copies the live keys into the other half, four places for each, or two where that is all there is room for. */
function rebuild(table: HashTable): boolean {
  const { words, halfWords } = table
  const sizeMax = (halfWords - HALF_HEAD_WORDS) / PLACE_WORDS
  const count = Atomics.load(words, COUNT)
  if (count * 2 >= sizeMax) return false
  let size = SIZE_MIN
  while (size < count * 4 && size < sizeMax) size *= 2
  changeHalves(table, size, (half, other) => {
    for (let probe = 0; probe < words[half + SIZE]!; probe++) {
      const place = half + HALF_HEAD_WORDS + probe * PLACE_WORDS
      const tag = words[place + TAG]!
      if (tag === FREE || tag === REMOVED) continue
      words.copyWithin(freePlaceOfCopy(words, other, place), place, place + PLACE_WORDS)
    }
    words[other + USED] = count
  })
  return true
}

function freePlaceOfCopy(
  words: Int32Array<SharedArrayBuffer>,
  half: number,
  place: number,
): number {
  // The tag is the hash but for the one bit that `placeOf` leaves out.
  return freePlace(words, half, words[place + TAG]!)
}

/** Empties the other half, with room for `size` places, has it filled, and makes it the one to read. */
function changeHalves(
  table: HashTable,
  size: number,
  fill: (half: number, other: number) => void = () => {},
): void {
  const { words } = table
  const active = Atomics.load(words, ACTIVE)
  const other = halfOf(table, active + 1)
  words.fill(0, other, other + HALF_HEAD_WORDS + size * PLACE_WORDS)
  words[other + SIZE] = size
  fill(halfOf(table, active), other)
  Atomics.store(words, ACTIVE, (active + 1) | 0)
}

/** Calls `visit` for each key, 20 bytes at `at` of `bytes`, with its value. The table must not be changed meanwhile. */
export function eachKey(
  table: HashTable,
  visit: (bytes: Uint8Array, at: number, value: number) => void,
): void {
  const { words } = table
  const bytes = new Uint8Array(words.buffer)
  const half = halfOf(table, Atomics.load(words, ACTIVE))
  for (let probe = 0; probe < words[half + SIZE]!; probe++) {
    const place = half + HALF_HEAD_WORDS + probe * PLACE_WORDS
    const tag = words[place + TAG]!
    if (tag !== FREE && tag !== REMOVED)
      visit(bytes, (place + KEY) * 4, words[place + VALUE]! >>> 0)
  }
}
