import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { nodeOfWorker } from '../protocol/connection.ts'
import {
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_PORT,
  DELTA_SEEN,
  DeltaBit,
  deltaBytes,
} from '../protocol/delta-record.ts'
import { CONNECTION_WORKER, Family, HASH_BYTES } from '../protocol/records.ts'
import type { OpenTables } from './engine.ts'
import type { Arena } from './tables/arena.ts'
import { copyWords } from './tables/copy-words.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { DETAIL_PEER_ID, TORRENT_HASH } from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  lastSeen,
  listOf,
  peerCount,
  seederCount,
} from './tables/peer-list.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { type HeldStripe, holdStripe, passStripe } from './tables/stripe.ts'
import { findTorrent, indexSize, torrentAt } from './tables/torrents.ts'

/** Entries of the index, and peers, checked while a stripe's lock is held. */
const SLICE_PLACES_MAX = 1024
const SLICE_PEERS_MAX = 512

const FAMILY = Family.websocket
/** Bytes of one exported peer: the Unix second of its last announce (u32), then its delta. */
export const SOCKET_ENTRY_BYTES = 4 + deltaBytes(FAMILY)

/**
 * Progress of the export of the WebSocket peers that are connected to this node. The walk over the
 * index, and over the lists from their end, is that of export-stripe.ts: a peer that is moved
 * meanwhile may be written twice or not at all.
 */
export type SocketCursor = {
  /** Unix second; peers that were last seen before it are left out. */
  readonly since: number
  stripe: number
  place: number
  size: number
  /** Info hashes of torrents with WebSocket peers. The last one is written next. */
  readonly waiting: Bytes[]
  /** The slot of that torrent to continue before; undefined at its start. */
  slot: number | undefined
}

export function createSocketCursor(since: number): SocketCursor {
  return { since, stripe: 0, place: 0, size: -1, waiting: [], slot: undefined }
}

export function isSocketEnd({ stripeCount }: OpenTables, { stripe }: SocketCursor): boolean {
  return stripe >= stripeCount
}

/**
 * Writes a bounded number of peers to `out` at `at`, as many as fit before `limit`, and returns
 * where they end. An entry is described at SOCKET_ENTRY_BYTES.
 */
export function exportSockets(
  { held }: OpenTables,
  cursor: SocketCursor,
  out: Bytes,
  at: number,
  limit: number,
): number {
  holdStripe(held, cursor.stripe)
  let end = at
  if (cursor.waiting.length > 0) end = exportTorrent(held, cursor, out, at, limit)
  else findTorrents(held, cursor)
  passStripe(held)
  if (cursor.waiting.length === 0 && cursor.place >= cursor.size) {
    cursor.stripe++
    cursor.place = 0
    cursor.size = -1
  }
  return end
}

/** Adds the next torrents with WebSocket peers to `waiting`, up to an empty entry of the index. */
function findTorrents(held: HeldStripe, cursor: SocketCursor): void {
  const { arena } = held
  const size = indexSize(held)
  if (size !== cursor.size) {
    cursor.size = size
    cursor.place = 0
  }
  const end = cursor.place + SLICE_PLACES_MAX
  while (cursor.place < size) {
    const torrent = torrentAt(held, cursor.place++)
    if (torrent === NO_TORRENT) {
      if (cursor.place >= end) return
    } else if (peerCount(arena, listOf(arena, torrent, FAMILY)) > 0) {
      const hash = torrent + TORRENT_HASH
      cursor.waiting.push(bytesOf(new Uint8Array(arena.u8.subarray(hash, hash + HASH_BYTES))))
    }
  }
}

/** Writes peers of the torrent that waits, from the end of its list. */
function exportTorrent(
  held: HeldStripe,
  cursor: SocketCursor,
  out: Bytes,
  at: number,
  limit: number,
): number {
  const { arena } = held
  const hash = cursor.waiting.at(-1)
  if (!hash) return at
  const torrent = findTorrent(held, hashInfoHash(held.hashKey, hash.view, 0), hash.view, 0)
  const count = torrent === NO_TORRENT ? 0 : peerCount(arena, listOf(arena, torrent, FAMILY))
  let slot = Math.min(cursor.slot ?? count, count)
  const last = Math.max(0, slot - SLICE_PEERS_MAX)
  let end = at
  while (slot > last && end + SOCKET_ENTRY_BYTES <= limit) {
    slot--
    end = exportPeer(arena, torrent, slot as Slot, cursor.since, { out, at: end })
  }
  cursor.slot = slot
  if (slot > 0) return end
  cursor.waiting.pop()
  cursor.slot = undefined
  return end
}

/** Writes the peer in `slot`, unless it is too old or connected to another node. */
function exportPeer(
  arena: Arena,
  torrent: TorrentRef,
  slot: Slot,
  since: number,
  { out, at }: { readonly out: Bytes; readonly at: number },
): number {
  const { u8, view } = out
  const list = listOf(arena, torrent, FAMILY)
  const compact = compactAt(arena, list, FAMILY, slot)
  const detail = detailAt(arena, list, FAMILY, slot)
  const seen = lastSeen(arena, detail)
  const worker = arena.view.getUint32(compact + CONNECTION_WORKER, true)
  if (seen < since || nodeOfWorker(worker) !== 0) return at
  const delta = at + 4
  const address = DELTA_ADDRESS_BYTES[FAMILY]
  view.setUint32(at, seen, true)
  u8[delta + DELTA_BITS] = FAMILY | (slot < seederCount(arena, list) ? DeltaBit.seeder : 0)
  u8[delta + DELTA_SEEN] = seen & 0xff
  view.setUint16(delta + DELTA_PORT, arena.view.getUint16(compact + address), true)
  let to = delta + DELTA_ADDRESS
  to += copyWords(view, to, arena.view, compact, address)
  to += copyWords(view, to, arena.view, torrent + TORRENT_HASH, HASH_BYTES)
  copyWords(view, to, arena.view, detail + DETAIL_PEER_ID, HASH_BYTES)
  return at + SOCKET_ENTRY_BYTES
}
