import { type Arena, countTorrents } from './arena.ts'
import { allocateBlock, freeBlock } from './blocks.ts'
import { type HashKey, hashInfoHash } from './keyed-hash.ts'
import {
  STRIPE_CHANGED,
  STRIPE_INDEX,
  STRIPE_INDEX_SIZE,
  STRIPE_TORRENTS,
  TORRENT_ACTIVE,
  TORRENT_BYTES,
  TORRENT_COMPLETED,
  TORRENT_FLAG_BITS,
  TORRENT_FLAGS,
  TORRENT_HASH,
  TorrentFlag,
} from './layout.ts'

/**
 * A stripe's torrent index: open addressing with linear probing over u32 entries. An entry is the torrent's reference
 * divided by 4 (29 bits) under three bits of its hash, so that a foreign entry is mostly told apart without touching its torrent.
 * 0 is an empty entry. The low bits of the hash chose the stripe, the next ones the place in the index, the top ones are the tag.
 */
const PLACE_SHIFT = 12
const TAG_MASK = 0xe000_0000
const REF_MASK = 0x1fff_ffff
const INDEX_SIZE_MIN = 16

/** The stripe that a torrent of this hash belongs to. */
export function stripeOf(hash: number, stripeCount: number): number {
  return hash & (stripeCount - 1)
}

function entryOf(torrent: number, hash: number): number {
  return ((torrent >>> 2) | (hash & TAG_MASK)) >>> 0
}

function torrentOf(entry: number): number {
  return (entry & REF_MASK) * 4
}

function sameHash(arena: Arena, torrent: number, view: DataView, at: number): boolean {
  const word = (torrent + TORRENT_HASH) >> 2
  return (
    arena.i32[word]! === view.getInt32(at, true) &&
    arena.i32[word + 1]! === view.getInt32(at + 4, true) &&
    arena.i32[word + 2]! === view.getInt32(at + 8, true) &&
    arena.i32[word + 3]! === view.getInt32(at + 12, true) &&
    arena.i32[word + 4]! === view.getInt32(at + 16, true)
  )
}

/** Reference of the torrent whose info hash lies at `at` and hashes to `hash`; 0 when the stripe has none. */
export function findTorrent(
  arena: Arena,
  stripe: number,
  hash: number,
  view: DataView,
  at: number,
): number {
  const size = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  if (size === 0) return 0
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2
  const tag = (hash & TAG_MASK) >>> 0
  for (let place = (hash >>> PLACE_SHIFT) & (size - 1); ; place = (place + 1) & (size - 1)) {
    const entry = arena.u32[index + place]!
    if (entry === 0) return 0
    if ((entry & TAG_MASK) >>> 0 === tag && sameHash(arena, torrentOf(entry), view, at)) {
      return torrentOf(entry)
    }
  }
}

/** Adds a torrent without peers, which must not be there yet. 0 when the memory is full. */
export function addTorrent(
  arena: Arena,
  stripe: number,
  hash: number,
  view: DataView,
  at: number,
  key: HashKey,
): number {
  const count = arena.u32[(stripe + STRIPE_TORRENTS) >> 2]!
  const size = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  if (count + 1 > (size >> 2) * 3 && !growIndex(arena, stripe, key) && count + 1 >= size) return 0
  const torrent = allocateBlock(arena, stripe, TORRENT_BYTES)
  if (torrent === 0) return 0
  arena.u32.fill(0, torrent >> 2, (torrent + TORRENT_BYTES) >> 2)
  for (let n = 0; n < 5; n++) {
    arena.i32[((torrent + TORRENT_HASH) >> 2) + n] = view.getInt32(at + n * 4, true)
  }
  insertEntry(arena, stripe, torrent, hash)
  arena.u32[(stripe + STRIPE_TORRENTS) >> 2] = count + 1
  countTorrents(arena, 1)
  return torrent
}

function insertEntry(arena: Arena, stripe: number, torrent: number, hash: number): void {
  const mask = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]! - 1
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2
  let place = (hash >>> PLACE_SHIFT) & mask
  while (arena.u32[index + place]! !== 0) place = (place + 1) & mask
  arena.u32[index + place] = entryOf(torrent, hash)
}

/** Doubles the index, at three quarters full. False when the memory is full: the old one then goes on. */
function growIndex(arena: Arena, stripe: number, key: HashKey): boolean {
  const oldSize = arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
  const old = arena.u32[(stripe + STRIPE_INDEX) >> 2]!
  const size = Math.max(INDEX_SIZE_MIN, oldSize * 2)
  const index = allocateBlock(arena, stripe, size * 4)
  if (index === 0) return false
  arena.u32.fill(0, index >> 2, (index >> 2) + size)
  arena.u32[(stripe + STRIPE_INDEX) >> 2] = index
  arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2] = size
  for (let place = 0; place < oldSize; place++) {
    const entry = arena.u32[(old >> 2) + place]!
    if (entry === 0) continue
    const torrent = torrentOf(entry)
    insertEntry(arena, stripe, torrent, hashInfoHash(key, arena.view, torrent + TORRENT_HASH))
  }
  if (oldSize > 0) freeBlock(arena, stripe, old)
  return true
}

/** Entries of the stripe's index: what `torrentAt` may be asked for. */
export function indexSize(arena: Arena, stripe: number): number {
  return arena.u32[(stripe + STRIPE_INDEX_SIZE) >> 2]!
}

/** Reference of the torrent at a place of the index; 0 when the place is empty. */
export function torrentAt(arena: Arena, stripe: number, place: number): number {
  return torrentOf(arena.u32[(arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2) + place]!)
}

/**
 * Removes the torrent at a place, whose lists must be empty. Later entries of its run move up, so the place may hold another
 * torrent afterwards.
 */
export function removeTorrentAt(arena: Arena, stripe: number, place: number, key: HashKey): void {
  const mask = indexSize(arena, stripe) - 1
  const index = arena.u32[(stripe + STRIPE_INDEX) >> 2]! >> 2
  freeBlock(arena, stripe, torrentOf(arena.u32[index + place]!))
  arena.u32[(stripe + STRIPE_TORRENTS) >> 2]!--
  countTorrents(arena, -1)
  let hole = place
  for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
    const entry = arena.u32[index + next]!
    if (entry === 0) break
    const home =
      (hashInfoHash(key, arena.view, torrentOf(entry) + TORRENT_HASH) >>> PLACE_SHIFT) & mask
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      arena.u32[index + hole] = entry
      hole = next
    }
  }
  arena.u32[index + hole] = 0
}

/** Removes a torrent, of this hash, whose lists must be empty. */
export function removeTorrent(
  arena: Arena,
  stripe: number,
  torrent: number,
  hash: number,
  key: HashKey,
): void {
  const mask = indexSize(arena, stripe) - 1
  let place = (hash >>> PLACE_SHIFT) & mask
  while (torrentAt(arena, stripe, place) !== torrent) place = (place + 1) & mask
  removeTorrentAt(arena, stripe, place, key)
}

/** Notes that the torrent was announced to, in Unix seconds. */
export function touchTorrent(arena: Arena, torrent: number, nowSeconds: number): void {
  arena.u32[(torrent + TORRENT_ACTIVE) >> 2] = nowSeconds
}

export function torrentActive(arena: Arena, torrent: number): number {
  return arena.u32[(torrent + TORRENT_ACTIVE) >> 2]!
}

export function torrentCompleted(arena: Arena, torrent: number): number {
  return arena.u32[(torrent + TORRENT_COMPLETED) >> 2]!
}

export function torrentFlags(arena: Arena, torrent: number): number {
  return arena.u32[(torrent + TORRENT_FLAGS) >> 2]! & TORRENT_FLAG_BITS
}

export function setTorrentFlags(arena: Arena, torrent: number, flags: number): void {
  const at = (torrent + TORRENT_FLAGS) >> 2
  arena.u32[at] = (arena.u32[at]! & ~TORRENT_FLAG_BITS) | flags
}

/** Notes that the torrent's counts changed, for who keeps them. */
export function markChanged(arena: Arena, stripe: number, torrent: number): void {
  arena.u32[(torrent + TORRENT_FLAGS) >> 2]! |= TorrentFlag.changed
  arena.u32[(stripe + STRIPE_CHANGED) >> 2] = 1
}
