import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import type { Engine } from './engine.ts'
import { type Arena, stripeHead } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { DETAIL_BYTES, PEER_WIDTH, SEGMENT_PEERS, TORRENT_HASH } from './tables/layout.ts'
import { passLock, takeLock } from './tables/lock.ts'
import { compactAt, detailAt, listOf, peerCount } from './tables/peer-list.ts'
import {
  findTorrent,
  indexSize,
  torrentActive,
  torrentAt,
  torrentCompleted,
} from './tables/torrents.ts'
import {
  CONTINUED,
  RECORD_ACTIVE,
  RECORD_BYTES_MAX,
  RECORD_COMPLETED,
  RECORD_FLAGS,
  RECORD_HASH,
  RECORD_HEAD_BYTES,
  RECORD_PEERS,
  recordBytes,
} from './torrent-record.ts'

/** The tables as a thread sees them: what reading and filling them takes. */
export type OpenTables = Pick<Engine, 'arenas' | 'stripeCount' | 'hashKey'>

/**
 * Steps of some ten nanoseconds for which a stripe's lock is held: one for a place of the index or a peer, more for a torrent, which is a few
 * cache misses.
 */
const PIECE_STEPS_MAX = 4096
const TORRENT_STEPS = 24
/** A copy as short as this is quicker in a loop. */
const LOOP_BYTES_MAX = 64

/**
 * Where the export of a stripe is. Between two pieces announces go on. The walk over the index stops at empty places only: what a removal
 * moves up never crosses one, so every torrent that is there all the while is written. An index that grew is walked again from its start,
 * and its torrents are then written twice. A large list is written segment by segment from its end, each as it is at that moment: a peer
 * that is moved meanwhile may be written twice or not at all.
 */
export type ExportCursor = {
  readonly stripe: number
  place: number
  size: number
  /** Torrents too large for the piece that met them. The last one is written next. */
  readonly waiting: Bytes[]
  /** Of that one: whether its own record is written, and the list and slot, plus one, to go on with. */
  begun: boolean
  family: number
  slot: number
  done: boolean
}

export function createExportCursor(stripe: number): ExportCursor {
  return {
    stripe,
    place: 0,
    size: -1,
    waiting: [],
    begun: false,
    family: 0,
    slot: 0,
    done: false,
  }
}

/**
 * Writes a bounded piece of the cursor's stripe to `out` at `at`, as whole records (torrent-record.ts), and returns where they end; the
 * cursor says when the stripe is done. `out` must have RECORD_BYTES_MAX left.
 */
export function exportPiece(
  tables: OpenTables,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  const arena = tables.arenas[cursor.stripe % tables.arenas.length] as Arena
  const stripe = stripeHead(cursor.stripe, tables.arenas.length)
  takeLock(arena, stripe)
  const end =
    cursor.waiting.length > 0
      ? exportWaiting(tables, arena, stripe, cursor, out, at)
      : exportIndex(arena, stripe, cursor, out, at)
  passLock(arena, stripe)
  cursor.done = cursor.place >= cursor.size && cursor.waiting.length === 0
  return end
}

function exportIndex(
  arena: Arena,
  stripe: number,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  const size = indexSize(arena, stripe)
  if (size !== cursor.size) {
    cursor.size = size
    cursor.place = 0
  }
  let end = at
  let steps = 0
  while (cursor.place < size) {
    const torrent = torrentAt(arena, stripe, cursor.place++)
    steps++
    if (torrent === 0) {
      if (steps > PIECE_STEPS_MAX) return end
      continue
    }
    const ipv4 = peerCount(arena, listOf(arena, torrent, 0))
    const ipv6 = peerCount(arena, listOf(arena, torrent, 1))
    const fits = end + recordBytes(ipv4, ipv6) <= out.u8.length && steps <= PIECE_STEPS_MAX
    steps += TORRENT_STEPS
    if (fits && ipv4 <= SEGMENT_PEERS && ipv6 <= SEGMENT_PEERS) {
      end = writeRecord(arena, torrent, out, end, 0, 0, ipv4, 0, ipv6)
      steps += ipv4 + ipv6
    } else {
      const hash = torrent + TORRENT_HASH
      cursor.waiting.push(bytesOf(new Uint8Array(arena.u8.subarray(hash, hash + 20))))
    }
  }
  return end
}

function exportWaiting(
  tables: OpenTables,
  arena: Arena,
  stripe: number,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  let end = at
  let steps = 0
  while (steps <= PIECE_STEPS_MAX && end + RECORD_BYTES_MAX <= out.u8.length) {
    const hash = cursor.waiting.at(-1)
    if (!hash) break
    const torrent = findTorrent(
      arena,
      stripe,
      hashInfoHash(tables.hashKey, hash.view, 0),
      hash.view,
      0,
    )
    steps += TORRENT_STEPS
    if (torrent === 0) {
      nextWaiting(cursor)
      continue
    }
    const next = exportPart(arena, torrent, cursor, out, end)
    steps += Math.floor((next - end) / DETAIL_BYTES)
    end = next
  }
  return end
}

function nextWaiting(cursor: ExportCursor): void {
  cursor.waiting.pop()
  cursor.begun = false
}

/** Writes a torrent's own record, with its peers if they are few, or else the next segment of its peers. */
function exportPart(
  arena: Arena,
  torrent: number,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  if (!cursor.begun) {
    const ipv4 = peerCount(arena, listOf(arena, torrent, 0))
    const ipv6 = peerCount(arena, listOf(arena, torrent, 1))
    if (ipv4 <= SEGMENT_PEERS && ipv6 <= SEGMENT_PEERS) {
      nextWaiting(cursor)
      return writeRecord(arena, torrent, out, at, 0, 0, ipv4, 0, ipv6)
    }
    cursor.begun = true
    cursor.family = 0
    cursor.slot = ipv4
    return writeRecord(arena, torrent, out, at, 0, 0, 0, 0, 0)
  }
  const slot = Math.min(cursor.slot, peerCount(arena, listOf(arena, torrent, cursor.family)))
  if (slot === 0) {
    if (cursor.family === 1) nextWaiting(cursor)
    cursor.family = 1
    cursor.slot = peerCount(arena, listOf(arena, torrent, 1))
    return at
  }
  const first = Math.floor((slot - 1) / SEGMENT_PEERS) * SEGMENT_PEERS
  const count = slot - first
  cursor.slot = first
  return cursor.family === 0
    ? writeRecord(arena, torrent, out, at, CONTINUED, first, count, 0, 0)
    : writeRecord(arena, torrent, out, at, CONTINUED, 0, 0, first, count)
}

/** Writes a record of a run of each family's peers, each within one segment, and returns its end. */
function writeRecord(
  arena: Arena,
  torrent: number,
  out: Bytes,
  at: number,
  flags: number,
  ipv4First: number,
  ipv4Count: number,
  ipv6First: number,
  ipv6Count: number,
): number {
  copyOut(arena, torrent + TORRENT_HASH, 20, out, at + RECORD_HASH)
  out.view.setUint32(at + RECORD_COMPLETED, torrentCompleted(arena, torrent), true)
  out.view.setUint32(at + RECORD_ACTIVE, torrentActive(arena, torrent), true)
  out.view.setUint16(at + RECORD_PEERS[0], ipv4Count, true)
  out.view.setUint16(at + RECORD_PEERS[1], ipv6Count, true)
  out.view.setUint32(at + RECORD_FLAGS, flags, true)
  const ipv4 = at + RECORD_HEAD_BYTES
  const ipv6 = writePeers(arena, listOf(arena, torrent, 0), 0, ipv4First, ipv4Count, out, ipv4)
  return writePeers(arena, listOf(arena, torrent, 1), 1, ipv6First, ipv6Count, out, ipv6)
}

function writePeers(
  arena: Arena,
  list: number,
  family: number,
  first: number,
  count: number,
  out: Bytes,
  at: number,
): number {
  if (count === 0) return at
  const details = at + count * (PEER_WIDTH[family] as number)
  const end = details + count * DETAIL_BYTES
  copyOut(arena, compactAt(arena, list, family, first), details - at, out, at)
  copyOut(arena, detailAt(arena, list, family, first), end - details, out, details)
  return end
}

function copyOut(arena: Arena, from: number, bytes: number, out: Bytes, at: number): void {
  if (bytes > LOOP_BYTES_MAX) out.u8.set(arena.u8.subarray(from, from + bytes), at)
  else for (let n = 0; n < bytes; n++) out.u8[at + n] = arena.u8[from + n] as number
}
