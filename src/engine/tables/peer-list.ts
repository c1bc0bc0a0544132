import { COMPACT_BYTES, Family } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import { allocateBlock, freeBlock } from './blocks.ts'
import { hashPeer } from './keyed-hash.ts'
import {
  COMPLETION_COUNTED,
  COMPLETION_OWED,
  DETAIL_BYTES,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_USER,
  DIRECTORY_REFS,
  EMPTY_LIST,
  INDEX_REF_MIN,
  LIST_BLOCK,
  LIST_BYTES,
  LIST_CAPACITY,
  LIST_COUNT,
  LIST_SEEDERS,
  PEER_ADDRESS,
  PEER_RETURNED,
  SCAN_PEERS_MAX,
  SEGMENT_PEERS,
  TORRENT_FLAG_BITS,
  TORRENT_FLAGS,
  TORRENT_LISTS,
} from './layout.ts'
import { type ByteOffset, type ListRef, NO_LIST, type Slot, type TorrentRef } from './references.ts'
import type { HeldStripe } from './stripe.ts'

/**
 * One family's peers of one torrent. Slots 0 to seeders - 1 hold seeders, the rest leechers. A list
 * of at most SEGMENT_PEERS is one block, which is scanned (up to SCAN_PEERS_MAX) or has tags
 * (peer-tags.ts). A longer one is segments behind a directory, with tags and an index
 * (peer-index.ts). The caller holds the stripe's lock throughout.
 */

/**
 * The torrent's list of a family. The list of WebSocket peers moves when a peer is inserted or
 * removed.
 */
export function listOf(arena: Arena, torrent: TorrentRef, family: Family): ListRef {
  if (family === Family.websocket) return websocketList(arena, torrent) || EMPTY_LIST
  return (torrent + TORRENT_LISTS + family * LIST_BYTES) as ListRef
}

/** The torrent's list of WebSocket peers; NO_LIST when it does not have one. */
function websocketList(arena: Arena, torrent: TorrentRef): ListRef {
  return (arena.u32[(torrent + TORRENT_FLAGS) >> 2]! & ~TORRENT_FLAG_BITS) as ListRef
}

function setWebsocketList(arena: Arena, torrent: TorrentRef, list: ListRef): void {
  const at = (torrent + TORRENT_FLAGS) >> 2
  arena.u32[at] = list | (arena.u32[at]! & TORRENT_FLAG_BITS)
}

/** The torrent's list of a family, created if need be; NO_LIST if memory is full. */
export function makeList(held: HeldStripe, torrent: TorrentRef, family: Family): ListRef {
  const { arena, head } = held
  const list = listOf(arena, torrent, family)
  if (list !== EMPTY_LIST) return list
  const made = allocateBlock(arena, head, LIST_BYTES) as ListRef
  if (made === NO_LIST) return NO_LIST
  arena.u32.fill(0, made >> 2, (made + LIST_BYTES) >> 2)
  setWebsocketList(arena, torrent, made)
  return made
}

/** Frees the torrent's list of this family if `makeList` created it and it is empty. */
export function dropEmptyList(held: HeldStripe, torrent: TorrentRef, family: Family): void {
  if (family !== Family.websocket) return
  const { arena, head } = held
  const list = websocketList(arena, torrent)
  if (list === NO_LIST || peerCount(arena, list) > 0) return
  setWebsocketList(arena, torrent, NO_LIST)
  freeBlock(arena, head, list)
}

/** Number of peers in a list. */
export function peerCount(arena: Arena, list: ListRef): number {
  return arena.u32[(list + LIST_COUNT) >> 2]!
}

/** Number of seeders in a list. */
export function seederCount(arena: Arena, list: ListRef): number {
  return arena.u32[(list + LIST_SEEDERS) >> 2]!
}

/** Number of peers of a torrent, all families together. */
export function torrentPeers(arena: Arena, torrent: TorrentRef): number {
  const first = (torrent + TORRENT_LISTS + LIST_COUNT) >> 2
  const both = arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]!
  const websocket = websocketList(arena, torrent)
  return websocket === NO_LIST ? both : both + peerCount(arena, websocket)
}

/** Number of seeders of a torrent, all families together. */
export function torrentSeeders(arena: Arena, torrent: TorrentRef): number {
  const first = (torrent + TORRENT_LISTS + LIST_SEEDERS) >> 2
  const both = arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]!
  const websocket = websocketList(arena, torrent)
  return websocket === NO_LIST ? both : both + seederCount(arena, websocket)
}

/** Reference of the peer index of a large list; 0 for a small one. */
export function peerIndexOf(arena: Arena, list: ListRef): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  return word >= INDEX_REF_MIN ? word : 0
}

/** Bytes of the tags of a block or segment of this capacity, a multiple of 4. */
export function tagBytes(capacity: number): number {
  return capacity > SCAN_PEERS_MAX ? (capacity + 3) & ~3 : 0
}

/** Bytes of a block or segment that holds `capacity` peers: tags, compact bytes and details. */
export function segmentBytes(family: Family, capacity: number): number {
  return tagBytes(capacity) + capacity * (COMPACT_BYTES[family] + DETAIL_BYTES)
}

/** Peers that fit the block, or each segment, of a list. */
function capacityOf(arena: Arena, list: ListRef): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  return word >= INDEX_REF_MIN ? SEGMENT_PEERS : word
}

/** Offset of the block or segment that holds `slot`. */
export function blockAt(arena: Arena, list: ListRef, slot: Slot): number {
  const block = arena.u32[(list + LIST_BLOCK) >> 2]!
  if (peerIndexOf(arena, list) === 0) return block
  return arena.u32[((block + DIRECTORY_REFS) >> 2) + (slot >>> 9)]!
}

/**
 * Offset of a peer's compact bytes, followed by those of the next slots in the segment.
 */
export function compactAt(arena: Arena, list: ListRef, family: Family, slot: Slot): ByteOffset {
  return (blockAt(arena, list, slot) +
    tagBytes(capacityOf(arena, list)) +
    (slot & (SEGMENT_PEERS - 1)) * COMPACT_BYTES[family]) as ByteOffset
}

/** Offset of a peer's details (layout.ts, DETAIL_*). */
export function detailAt(arena: Arena, list: ListRef, family: Family, slot: Slot): ByteOffset {
  const capacity = capacityOf(arena, list)
  return (blockAt(arena, list, slot) +
    tagBytes(capacity) +
    capacity * COMPACT_BYTES[family] +
    (slot & (SEGMENT_PEERS - 1)) * DETAIL_BYTES) as ByteOffset
}

/** Unix seconds at which the peer with these details last announced. */
export function lastSeen(arena: Arena, detail: number): number {
  const at = (detail + DETAIL_SEEN) >> 1
  return (arena.u16[at]! | (arena.u16[at + 1]! << 16)) >>> 0
}

/** Whether the `completed` of the seeder with these details was counted. */
export function isCompletionCounted(arena: Arena, detail: number): boolean {
  return (arena.u16[(detail + DETAIL_USER + 2) >> 1]! & (COMPLETION_COUNTED >>> 16)) !== 0
}

/** Whether a `completed` of the leecher with these details was refused. */
export function isCompletionOwed(arena: Arena, detail: number): boolean {
  return (arena.u16[(detail + DETAIL_USER + 2) >> 1]! & (COMPLETION_OWED >>> 16)) !== 0
}

/** Whether the peer with these details has announced more than once. */
export function hasReturned(arena: Arena, detail: number): boolean {
  return (arena.u16[(detail + DETAIL_USER + 2) >> 1]! & (PEER_RETURNED >>> 16)) !== 0
}

/** Keyed hash of the peer in `slot`, as the list's index holds it. */
export function hashOfSlot(
  { arena, hashKey }: HeldStripe,
  list: ListRef,
  family: Family,
  slot: Slot,
): number {
  const compact = compactAt(arena, list, family, slot)
  const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
  return hashPeer(hashKey, arena.view, id, compact, PEER_ADDRESS[family])
}
