import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { COMPACT_BYTES, Family, HASH_BYTES, type IpFamily } from '../protocol/records.ts'
import type { OpenTables } from './engine.ts'
import type { Arena } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { DETAIL_BYTES, SEGMENT_PEERS, TORRENT_HASH } from './tables/layout.ts'
import { compactAt, detailAt, listOf, peerCount } from './tables/peer-list.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { type HeldStripe, holdStripe, passStripe } from './tables/stripe.ts'
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

/**
 * Steps of about twenty nanoseconds for which a stripe's lock is held: one for an entry of the
 * index or a peer, several for a torrent, which causes a few cache misses.
 */
const CHUNK_STEPS_MAX = 1024
const TORRENT_STEPS = 24
/** Up to this many bytes a loop copies faster than `set`. */
const LOOP_BYTES_MAX = 64

/** The peers of one record: a run of slots of each list, within one segment. */
type RecordRuns = {
  flags: number
  readonly first: [number, number]
  readonly count: [number, number]
}

/**
 * Progress of the export of a stripe. Announces are answered between two chunks. The walk over the
 * index stops at empty entries only: a removal moves no entry past an empty one, so every torrent
 * that exists throughout is written. An index that has grown is walked again from its start, and
 * its torrents are written twice then. A large list is written segment by segment from its end,
 * each as it is at that moment: a peer that is moved meanwhile may be written twice or not at all.
 */
export type ExportCursor = {
  readonly stripe: number
  place: number
  size: number
  /** Info hashes of torrents that did not fit into their chunk. The last one is written next. */
  readonly waiting: Bytes[]
  /**
   * Progress in that torrent: whether its own record is written, and the list and the slot, plus
   * one, to continue at.
   */
  begun: boolean
  family: IpFamily
  slot: number
  readonly runs: RecordRuns
  /** Torrents without an announce since this Unix second are left out. */
  readonly since: number
  done: boolean
}

export function createExportCursor(stripe: number, since = 0): ExportCursor {
  return {
    stripe,
    place: 0,
    size: -1,
    waiting: [],
    begun: false,
    family: Family.ipv4,
    slot: 0,
    runs: { flags: 0, first: [0, 0], count: [0, 0] },
    since,
    done: false,
  }
}

/**
 * Writes a bounded chunk of the cursor's stripe to `out` at `at`, as whole records
 * (torrent-record.ts), and returns where they end. `cursor.done` is set when the stripe is
 * complete. `out` must have RECORD_BYTES_MAX left.
 */
export function exportChunk(
  { held }: OpenTables,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  holdStripe(held, cursor.stripe)
  const end =
    cursor.waiting.length > 0
      ? exportWaiting(held, cursor, out, at)
      : exportIndex(held, cursor, out, at)
  passStripe(held)
  cursor.done = cursor.place >= cursor.size && cursor.waiting.length === 0
  return end
}

function exportIndex(held: HeldStripe, cursor: ExportCursor, out: Bytes, at: number): number {
  const { arena } = held
  const { runs } = cursor
  const size = indexSize(held)
  if (size !== cursor.size) {
    cursor.size = size
    cursor.place = 0
  }
  let end = at
  let steps = 0
  while (cursor.place < size) {
    const torrent = torrentAt(held, cursor.place++)
    steps++
    if (torrent === NO_TORRENT) {
      if (steps > CHUNK_STEPS_MAX) return end
      continue
    }
    const isSmall = takeWholeLists(arena, torrent, runs)
    const [ipv4, ipv6] = runs.count
    const fits = end + recordBytes(ipv4, ipv6) <= out.u8.length && steps <= CHUNK_STEPS_MAX
    steps += TORRENT_STEPS
    if (fits && isSmall) {
      end = writeRecord(arena, torrent, runs, out, end)
      steps += ipv4 + ipv6
    } else {
      const hash = torrent + TORRENT_HASH
      cursor.waiting.push(bytesOf(new Uint8Array(arena.u8.subarray(hash, hash + HASH_BYTES))))
    }
  }
  return end
}

/** Sets the runs to all peers of the torrent. Returns whether one record can hold them. */
function takeWholeLists(arena: Arena, torrent: TorrentRef, runs: RecordRuns): boolean {
  const ipv4 = peerCount(arena, listOf(arena, torrent, Family.ipv4))
  const ipv6 = peerCount(arena, listOf(arena, torrent, Family.ipv6))
  takeRuns(runs, 0, ipv4, ipv6)
  return ipv4 <= SEGMENT_PEERS && ipv6 <= SEGMENT_PEERS
}

/** Sets the runs to the first peers of both lists. */
function takeRuns(runs: RecordRuns, flags: number, ipv4: number, ipv6: number): void {
  runs.flags = flags
  runs.first.fill(0)
  runs.count[Family.ipv4] = ipv4
  runs.count[Family.ipv6] = ipv6
}

function exportWaiting(held: HeldStripe, cursor: ExportCursor, out: Bytes, at: number): number {
  let end = at
  let steps = 0
  while (steps <= CHUNK_STEPS_MAX && end + RECORD_BYTES_MAX <= out.u8.length) {
    const hash = cursor.waiting.at(-1)
    if (!hash) break
    const torrent = findTorrent(held, hashInfoHash(held.hashKey, hash.view, 0), hash.view, 0)
    steps += TORRENT_STEPS
    if (torrent === NO_TORRENT) {
      nextWaiting(cursor)
      continue
    }
    const next = exportPart(held.arena, torrent, cursor, out, end)
    steps += Math.floor((next - end) / DETAIL_BYTES)
    end = next
  }
  return end
}

function nextWaiting(cursor: ExportCursor): void {
  cursor.waiting.pop()
  cursor.begun = false
}

/**
 * Writes a torrent's own record, with its peers if they are few, otherwise the next segment of
 * them.
 */
function exportPart(
  arena: Arena,
  torrent: TorrentRef,
  cursor: ExportCursor,
  out: Bytes,
  at: number,
): number {
  const { runs } = cursor
  if (!cursor.begun) {
    if (takeWholeLists(arena, torrent, runs)) {
      nextWaiting(cursor)
      return writeRecord(arena, torrent, runs, out, at)
    }
    cursor.begun = true
    cursor.family = Family.ipv4
    cursor.slot = runs.count[Family.ipv4]
    takeRuns(runs, 0, 0, 0)
    return writeRecord(arena, torrent, runs, out, at)
  }
  const slot = Math.min(cursor.slot, peerCount(arena, listOf(arena, torrent, cursor.family)))
  if (slot === 0) {
    if (cursor.family === Family.ipv6) nextWaiting(cursor)
    cursor.family = Family.ipv6
    cursor.slot = peerCount(arena, listOf(arena, torrent, Family.ipv6))
    return at
  }
  const first = Math.floor((slot - 1) / SEGMENT_PEERS) * SEGMENT_PEERS
  cursor.slot = first
  takeRuns(runs, CONTINUED, 0, 0)
  runs.first[cursor.family] = first
  runs.count[cursor.family] = slot - first
  return writeRecord(arena, torrent, runs, out, at)
}

/** Writes a record of the torrent and of the peers in the runs, and returns its end. */
function writeRecord(
  arena: Arena,
  torrent: TorrentRef,
  runs: RecordRuns,
  out: Bytes,
  at: number,
): number {
  copyOut(arena, torrent + TORRENT_HASH, HASH_BYTES, out, at + RECORD_HASH)
  out.view.setUint32(at + RECORD_COMPLETED, torrentCompleted(arena, torrent), true)
  out.view.setUint32(at + RECORD_ACTIVE, torrentActive(arena, torrent), true)
  out.view.setUint16(at + RECORD_PEERS[Family.ipv4], runs.count[Family.ipv4], true)
  out.view.setUint16(at + RECORD_PEERS[Family.ipv6], runs.count[Family.ipv6], true)
  out.view.setUint32(at + RECORD_FLAGS, runs.flags, true)
  let end = at + RECORD_HEAD_BYTES
  for (const family of [Family.ipv4, Family.ipv6] as const) {
    const count = runs.count[family]
    if (count === 0) continue
    const list = listOf(arena, torrent, family)
    const first = runs.first[family] as Slot
    const bytes = count * COMPACT_BYTES[family]
    copyOut(arena, compactAt(arena, list, family, first), bytes, out, end)
    copyOut(arena, detailAt(arena, list, family, first), count * DETAIL_BYTES, out, end + bytes)
    end += bytes + count * DETAIL_BYTES
  }
  return end
}

function copyOut(arena: Arena, from: number, bytes: number, out: Bytes, at: number): void {
  if (bytes > LOOP_BYTES_MAX) out.u8.set(arena.u8.subarray(from, from + bytes), at)
  else for (let n = 0; n < bytes; n++) out.u8[at + n] = arena.u8[from + n]!
}
