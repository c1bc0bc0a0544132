import { type Arena, countTorrents, stripeHead } from './arena.ts'
import { allocateBlock, freeBlock } from './blocks.ts'
import { hashInfoHash } from './keyed-hash.ts'
import {
  STRIPE_CHANGED,
  STRIPE_INDEX,
  STRIPE_INDEX_SIZE,
  STRIPE_TORRENTS,
  StripeFlag,
  TORRENT_ACTIVE,
  TORRENT_BYTES,
  TORRENT_COMPLETED,
  TORRENT_FLAG_BITS,
  TORRENT_FLAGS,
  TORRENT_HASH,
  TORRENT_OLDEST,
  TorrentFlag,
} from './layout.ts'
import { NO_TORRENT, type TorrentRef } from './references.ts'
import { type HeldStripe, stripeOf } from './stripe.ts'

/**
 * A stripe's torrent index: open addressing with linear probing over u32 entries. An entry is the
 * torrent's reference divided by 4 (29 bits) and the top three bits of its hash as a tag, so that
 * most entries of other torrents are skipped without touching these. 0 is an empty entry. The low
 * bits of the hash choose the stripe, the next ones the entry to begin with. Behind the entries
 * follow 16 of these bits for each, with which an index grows without reading the torrents.
 */
const PLACE_SHIFT = 12
const INDEX_ENTRY_BYTES = 4 + 2
/** Largest index for which 16 bits are enough. */
const SIZE_MAX_OF_BITS = 2 ** 16
const TAG_MASK = 0xe000_0000
const REF_MASK = 0x1fff_ffff
const INDEX_SIZE_MIN = 16

function entryOf(torrent: TorrentRef, hash: number): number {
  return ((torrent >>> 2) | (hash & TAG_MASK)) >>> 0
}

function torrentOf(entry: number): TorrentRef {
  return ((entry & REF_MASK) * 4) as TorrentRef
}

function sameHash(arena: Arena, torrent: TorrentRef, view: DataView, at: number): boolean {
  const word = (torrent + TORRENT_HASH) >> 2
  return (
    arena.i32[word]! === view.getInt32(at, true) &&
    arena.i32[word + 1]! === view.getInt32(at + 4, true) &&
    arena.i32[word + 2]! === view.getInt32(at + 8, true) &&
    arena.i32[word + 3]! === view.getInt32(at + 12, true) &&
    arena.i32[word + 4]! === view.getInt32(at + 16, true)
  )
}

/** Finds the torrent whose info hash lies at `at` and hashes to `hash`. */
export function findTorrent(
  held: HeldStripe,
  hash: number,
  view: DataView,
  at: number,
): TorrentRef {
  const { arena, head: stripe } = held
  const size = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  if (size === 0) return NO_TORRENT
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2
  const tag = (hash & TAG_MASK) >>> 0
  for (let place = (hash >>> PLACE_SHIFT) & (size - 1); ; place = (place + 1) & (size - 1)) {
    const entry = arena.u32[index + place]!
    if (entry === 0) return NO_TORRENT
    if ((entry & TAG_MASK) >>> 0 === tag && sameHash(arena, torrentOf(entry), view, at)) {
      return torrentOf(entry)
    }
  }
}

/** Reads the torrent that is probably the one of this hash, without a lock; see touch.ts. */
export function readAhead({ arenas, stripeCount }: HeldStripe, hash: number): number {
  const number = stripeOf(hash, stripeCount)
  const { u32 } = arenas[number % arenas.length]!
  const stripe = stripeHead(number, arenas.length)
  const size = u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  const index = u32[(stripe + STRIPE_INDEX) >> 2]! >> 2
  const entry = u32[index + ((hash >>> PLACE_SHIFT) & (size - 1))]!
  return u32[torrentOf(entry) >> 2]!
}

/** Adds a torrent without peers, which must not exist yet. Returns NO_TORRENT if memory is full. */
export function addTorrent(held: HeldStripe, hash: number, view: DataView, at: number): TorrentRef {
  const { arena, head: stripe } = held
  const count = arena.u32[(stripe + STRIPE_TORRENTS) >> 2]!
  const size = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  if (count + 1 > (size >> 2) * 3 && !growIndex(held) && count + 1 >= size) return NO_TORRENT
  const torrent = allocateBlock(arena, stripe, TORRENT_BYTES) as TorrentRef | 0
  if (torrent === 0) return NO_TORRENT
  arena.u32.fill(0, torrent >> 2, (torrent + TORRENT_BYTES) >> 2)
  for (let n = 0; n < 5; n++) {
    arena.i32[((torrent + TORRENT_HASH) >> 2) + n] = view.getInt32(at + n * 4, true)
  }
  insertEntry(held, entryOf(torrent, hash), hash >>> PLACE_SHIFT)
  arena.u32[(stripe + STRIPE_TORRENTS) >> 2] = count + 1
  countTorrents(arena, 1)
  // It may be one whose row is in the database: marked, it is looked up there.
  if ((arena.u32[(stripe + STRIPE_CHANGED) >> 2]! & StripeFlag.forgotten) !== 0) {
    markChanged(held, torrent)
  }
  return torrent
}

/** Offset of the bits of the first entry of an index, in u16. */
function bitsAt(index: number, size: number): number {
  return (index + size * 4) >> 1
}

/** The first empty entry for these bits, in an index of `size` entries. */
function emptyPlace(u32: Arena['u32'], index: number, size: number, bits: number): number {
  let place = bits & (size - 1)
  while (u32[(index >> 2) + place]! !== 0) place = (place + 1) & (size - 1)
  return place
}

/** Enters a torrent whose hash, without the bits of the stripe, ends with `bits`. */
function insertEntry({ arena, head: stripe }: HeldStripe, entry: number, bits: number): void {
  const size = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]!
  const place = emptyPlace(arena.u32, index, size, bits)
  arena.u32[(index >> 2) + place] = entry
  arena.u16[bitsAt(index, size) + place] = bits
}

/** The bits by which an entry of an index finds its place in one of `size` entries. */
function bitsOf({ arena, hashKey }: HeldStripe, entry: number, bits: number, size: number): number {
  if (size <= SIZE_MAX_OF_BITS) return bits
  return hashInfoHash(hashKey, arena.view, torrentOf(entry) + TORRENT_HASH) >>> PLACE_SHIFT
}

/**
 * Doubles the index, which is three quarters full. Returns false if memory is full: the old index
 * stays in use then.
 */
function growIndex(held: HeldStripe): boolean {
  const { arena, head: stripe } = held
  const oldSize = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  const old = arena.u32[(stripe + STRIPE_INDEX) >> 2]!
  const size = Math.max(INDEX_SIZE_MIN, oldSize * 2)
  const index = allocateBlock(arena, stripe, size * INDEX_ENTRY_BYTES)
  if (index === 0) return false
  arena.u32.fill(0, index >> 2, (index >> 2) + size)
  arena.u32[(stripe + STRIPE_INDEX) >> 2] = index
  arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2] = size
  const { u16, u32 } = arena
  const oldBits = bitsAt(old, oldSize)
  const newBits = bitsAt(index, size)
  for (let from = 0; from < oldSize; from++) {
    const entry = u32[(old >> 2) + from]!
    if (entry === 0) continue
    const bits = bitsOf(held, entry, u16[oldBits + from]!, size)
    const place = emptyPlace(u32, index, size, bits)
    u32[(index >> 2) + place] = entry
    u16[newBits + place] = bits
  }
  if (oldSize > 0) freeBlock(arena, stripe, old)
  return true
}

/** Number of entries in the held stripe's index; `torrentAt` accepts 0 to this minus 1. */
export function indexSize({ arena, head: stripe }: HeldStripe): number {
  return arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
}

/** The torrent of an entry of the index; NO_TORRENT when the entry is empty. */
export function torrentAt({ arena, head: stripe }: HeldStripe, place: number): TorrentRef {
  return torrentOf(arena.u32[(arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2) + place]!)
}

/**
 * Removes the torrent of an entry, whose lists must be empty. Later entries of its run move up, so
 * the entry may hold another torrent afterwards.
 */
export function removeTorrentAt(held: HeldStripe, place: number): void {
  const { arena, head: stripe } = held
  const size = indexSize(held)
  const mask = size - 1
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]!
  const entries = index >> 2
  const bits = bitsAt(index, size)
  freeBlock(arena, stripe, torrentOf(arena.u32[entries + place]!))
  arena.u32[(stripe + STRIPE_TORRENTS) >> 2]!--
  countTorrents(arena, -1)
  let hole = place
  for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
    const entry = arena.u32[entries + next]!
    if (entry === 0) break
    const home = bitsOf(held, entry, arena.u16[bits + next]!, size) & mask
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      arena.u32[entries + hole] = entry
      arena.u16[bits + hole] = arena.u16[bits + next]!
      hole = next
    }
  }
  arena.u32[entries + hole] = 0
}

/** Removes the torrent, whose info hash hashes to `hash` and whose lists must be empty. */
export function removeTorrent(held: HeldStripe, torrent: TorrentRef, hash: number): void {
  const mask = indexSize(held) - 1
  let place = (hash >>> PLACE_SHIFT) & mask
  while (torrentAt(held, place) !== torrent) place = (place + 1) & mask
  removeTorrentAt(held, place)
}

/** Records the time of the torrent's last announce, in Unix seconds. */
export function touchTorrent(arena: Arena, torrent: TorrentRef, nowSeconds: number): void {
  arena.u32[(torrent + TORRENT_ACTIVE) >> 2] = nowSeconds
}

export function torrentActive(arena: Arena, torrent: TorrentRef): number {
  return arena.u32[(torrent + TORRENT_ACTIVE) >> 2]!
}

/** Unix seconds since which every peer of the torrent has announced; 0 if that is not known. */
export function torrentOldest(arena: Arena, torrent: TorrentRef): number {
  return arena.u32[(torrent + TORRENT_OLDEST) >> 2]!
}

export function setTorrentOldest(arena: Arena, torrent: TorrentRef, seconds: number): void {
  arena.u32[(torrent + TORRENT_OLDEST) >> 2] = seconds
}

export function torrentCompleted(arena: Arena, torrent: TorrentRef): number {
  return arena.u32[(torrent + TORRENT_COMPLETED) >> 2]!
}

export function torrentFlags(arena: Arena, torrent: TorrentRef): number {
  return arena.u32[(torrent + TORRENT_FLAGS) >> 2]! & TORRENT_FLAG_BITS
}

export function setTorrentFlags(arena: Arena, torrent: TorrentRef, flags: number): void {
  const at = (torrent + TORRENT_FLAGS) >> 2
  arena.u32[at] = (arena.u32[at]! & ~TORRENT_FLAG_BITS) | flags
}

/**
 * Whether a torrent without peers may leave memory: not if an operator added it or the database has
 * its counts, unless `isStored` says that there is a database, and that has the latest of them.
 */
export function mayForget(arena: Arena, torrent: TorrentRef, isStored: boolean): boolean {
  const flags = torrentFlags(arena, torrent)
  if ((flags & TorrentFlag.kept) === 0) return true
  return isStored && (flags & TorrentFlag.changed) === 0
}

/** Notes that a torrent leaves memory before it is removed. */
export function noteForgotten({ arena, head }: HeldStripe, torrent: TorrentRef): void {
  if ((torrentFlags(arena, torrent) & TorrentFlag.kept) === 0) return
  arena.u32[(head + STRIPE_CHANGED) >> 2]! |= StripeFlag.forgotten
}

/** Marks the torrent's counts as changed since they were last written to the database. */
export function markChanged({ arena, head }: HeldStripe, torrent: TorrentRef): void {
  arena.u32[(torrent + TORRENT_FLAGS) >> 2]! |= TorrentFlag.changed
  arena.u32[(head + STRIPE_CHANGED) >> 2]! |= StripeFlag.changed
}
