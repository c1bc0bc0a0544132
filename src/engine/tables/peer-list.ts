import type { Arena } from './arena.ts'
import { allocateBlock, freeBlock } from './blocks.ts'
import { type HashKey, hashPeer } from './keyed-hash.ts'
import {
  COMPLETION_COUNTED,
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
  PEER_WIDTH,
  SEGMENT_PEERS,
  TORRENT_FLAG_BITS,
  TORRENT_FLAGS,
  TORRENT_LISTS,
  WEBSOCKET_FAMILY,
} from './layout.ts'

/**
 * One family's peers of one torrent. Slot 0 … seeders - 1 are seeders, the rest leechers. A list of at most SEGMENT_PEERS is one
 * block and is scanned; a longer one is segments behind a directory, with a peer index. `list` is the offset of its head in the arena; the
 * stripe's lock is held throughout.
 */

/** Where the peer list of a family lies. Once a WebSocket peer was inserted or removed it may lie elsewhere. */
export function listOf(arena: Arena, torrent: number, family: number): number {
  if (family === WEBSOCKET_FAMILY) return websocketList(arena, torrent) || EMPTY_LIST
  return torrent + TORRENT_LISTS + family * LIST_BYTES
}

/** Reference of the torrent's list of WebSocket peers; 0 when it has none. */
function websocketList(arena: Arena, torrent: number): number {
  return arena.u32[(torrent + TORRENT_FLAGS) >> 2]! & ~TORRENT_FLAG_BITS
}

function setWebsocketList(arena: Arena, torrent: number, list: number): void {
  const at = (torrent + TORRENT_FLAGS) >> 2
  arena.u32[at] = list | (arena.u32[at]! & TORRENT_FLAG_BITS)
}

/** The list of a family, made if the torrent has none yet; 0 when there is no room for it. */
export function makeList(arena: Arena, stripe: number, torrent: number, family: number): number {
  const list = listOf(arena, torrent, family)
  if (list !== EMPTY_LIST) return list
  const made = allocateBlock(arena, stripe, LIST_BYTES)
  if (made === 0) return 0
  arena.u32.fill(0, made >> 2, (made + LIST_BYTES) >> 2)
  setWebsocketList(arena, torrent, made)
  return made
}

/** Gives back a list without peers, if it is one that was made. */
export function dropEmptyList(arena: Arena, stripe: number, torrent: number, family: number): void {
  if (family !== WEBSOCKET_FAMILY) return
  const list = websocketList(arena, torrent)
  if (list === 0 || peerCount(arena, list) > 0) return
  setWebsocketList(arena, torrent, 0)
  freeBlock(arena, stripe, list)
}

/** Peers of a list. */
export function peerCount(arena: Arena, list: number): number {
  return arena.u32[(list + LIST_COUNT) >> 2]!
}

/** Seeders of a list. */
export function seederCount(arena: Arena, list: number): number {
  return arena.u32[(list + LIST_SEEDERS) >> 2]!
}

/** Peers of a torrent, of all families. */
export function torrentPeers(arena: Arena, torrent: number): number {
  const first = (torrent + TORRENT_LISTS + LIST_COUNT) >> 2
  const websocket = listOf(arena, torrent, WEBSOCKET_FAMILY)
  return arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]! + peerCount(arena, websocket)
}

/** Seeders of a torrent, of all families. */
export function torrentSeeders(arena: Arena, torrent: number): number {
  const first = (torrent + TORRENT_LISTS + LIST_SEEDERS) >> 2
  const websocket = listOf(arena, torrent, WEBSOCKET_FAMILY)
  return arena.u32[first]! + arena.u32[first + (LIST_BYTES >> 2)]! + seederCount(arena, websocket)
}

/** Reference of the peer index of a large list; 0 for a small one. */
export function peerIndexOf(arena: Arena, list: number): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  return word >= INDEX_REF_MIN ? word : 0
}

/** Bytes that this many peers need, compact bytes and details. */
export function segmentBytes(family: number, capacity: number): number {
  return capacity * (PEER_WIDTH[family]! + DETAIL_BYTES)
}

/** Offset of the block or segment that holds `slot`. */
function blockAt(arena: Arena, list: number, slot: number): number {
  const block = arena.u32[(list + LIST_BLOCK) >> 2]!
  if (peerIndexOf(arena, list) === 0) return block
  return arena.u32[((block + DIRECTORY_REFS) >> 2) + (slot >>> 9)]!
}

/** Offset of a peer's compact bytes. Those of the following slots lie right behind, up to the end of its segment. */
export function compactAt(arena: Arena, list: number, family: number, slot: number): number {
  return blockAt(arena, list, slot) + (slot & (SEGMENT_PEERS - 1)) * PEER_WIDTH[family]!
}

/** Offset of a peer's details (layout.ts, DETAIL_*). */
export function detailAt(arena: Arena, list: number, family: number, slot: number): number {
  const word = arena.u32[(list + LIST_CAPACITY) >> 2]!
  const capacity = word >= INDEX_REF_MIN ? SEGMENT_PEERS : word
  return (
    blockAt(arena, list, slot) +
    capacity * PEER_WIDTH[family]! +
    (slot & (SEGMENT_PEERS - 1)) * DETAIL_BYTES
  )
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

/** Keyed hash of the peer in `slot`, as its index has it. */
export function hashOfSlot(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  key: HashKey,
): number {
  const compact = compactAt(arena, list, family, slot)
  const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
  return hashPeer(key, arena.view, id, arena.view, compact, PEER_ADDRESS[family]!)
}
