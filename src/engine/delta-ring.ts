import {
  COUNT_BYTES,
  COUNTS_EVENT,
  COUNTS_UPLOADED,
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_BYTES_MAX,
  DELTA_COUNTS_BYTES,
  DELTA_EXPIRED,
  DELTA_FAMILY_BITS,
  DELTA_PORT,
  DELTA_SEEN,
  DeltaBit,
  deltaBytes,
} from '../protocol/delta-record.ts'
import {
  ADDRESS,
  CLIENT_ADDRESS,
  CONNECTION_BYTES,
  DOWNLOADED,
  EVENT,
  Family,
  HASH_BYTES,
  INFO_HASH,
  IP_BYTES_MAX,
  type IpFamily,
  PORT,
  UPLOADED,
  USER_KEY,
} from '../protocol/records.ts'
import { type SessionTotals, writeSessionTotals } from '../protocol/session-totals.ts'
import type { Announce } from './current-announce.ts'
import type { Arena } from './tables/arena.ts'
import { copyWords } from './tables/copy-words.ts'
import { DETAIL_PEER_ID, TORRENT_HASH } from './tables/layout.ts'
import { compactAt, detailAt, listOf } from './tables/peer-list.ts'
import type { Slot, TorrentRef } from './tables/references.ts'

/**
 * The deltas of one thread for the nodes thread: a ring in shared memory with one writer and one
 * reader. Positions grow without end, modulo 2^32; a delta never wraps: where the rest of the ring
 * is too short for the longest one, RING_SKIP stands and the next delta begins at the start.
 */
export type DeltaRing = {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly view: DataView<SharedArrayBuffer>
  /** Bytes for deltas, a power of two. */
  readonly size: number
  /** Deltas carry the counts of clients even where there are no users. */
  readonly withCounts: boolean
  /** WebSocket peers have deltas too: only where offers reach the sockets of other nodes. */
  readonly withWebsocket: boolean
}

export type SharedDeltaRing = {
  readonly memory: SharedArrayBuffer
  readonly withCounts: boolean
  readonly withWebsocket: boolean
}

/** Head of the memory, in words: each alone in its cache line. */
const WRITTEN = 0
const READ = 16
const DROPPED = 32 // wraps
/** Counts of announces that leases left out, and of peers that timed out. Both wrap. */
const SKIPPED = 48
const EXPIRED = 49
const HEAD_BYTES = 256

/** In place of DELTA_BITS: the next delta is at the start of the ring. */
const RING_SKIP = 0xff

/** Some 80,000 deltas, which is a few tenths of a second of a thread at full speed. */
export const RING_BYTES = 4 * 2 ** 20

export type RingOptions = Partial<Pick<SharedDeltaRing, 'withCounts' | 'withWebsocket'>> & {
  /** A power of two. */
  readonly bytes?: number
}

export function createDeltaRing(options: RingOptions = {}): SharedDeltaRing {
  const { bytes = RING_BYTES, withCounts = false, withWebsocket = false } = options
  return { memory: new SharedArrayBuffer(HEAD_BYTES + bytes), withCounts, withWebsocket }
}

export function openDeltaRing({ memory, ...options }: SharedDeltaRing): DeltaRing {
  return {
    words: new Int32Array(memory, 0, HEAD_BYTES >> 2),
    u8: new Uint8Array(memory, HEAD_BYTES),
    view: new DataView(memory, HEAD_BYTES),
    size: memory.byteLength - HEAD_BYTES,
    ...options,
  }
}

/**
 * Offset for a delta of at most DELTA_BYTES_MAX; -1, and counted, if the reader is that far behind.
 */
function reserve(ring: DeltaRing): number {
  const { words, size, u8 } = ring
  const written = words[WRITTEN]!
  const free = size - ((written - Atomics.load(words, READ)) | 0)
  const at = written & (size - 1)
  const rest = size - at
  const skipped = rest < DELTA_BYTES_MAX ? rest : 0
  if (free < skipped + DELTA_BYTES_MAX) {
    Atomics.add(words, DROPPED, 1)
    return -1
  }
  if (skipped === 0) return at
  u8[at] = RING_SKIP
  Atomics.store(words, WRITTEN, (written + skipped) | 0)
  return 0
}

function commit({ words }: DeltaRing, bytes: number): void {
  Atomics.store(words, WRITTEN, (words[WRITTEN]! + bytes) | 0)
}

/**
 * Writes the delta of an announce. `kind` has DeltaBit.stopped, DeltaBit.completed if it counted as
 * a download, and DeltaBit.user if users are credited, so that the other nodes need counts, user
 * key and session.
 */
export function writeDelta(
  ring: DeltaRing,
  { request, at, peer, nowSeconds }: Announce,
  kind: number,
  session?: SessionTotals,
): void {
  const { family } = peer
  if (family === Family.websocket && !ring.withWebsocket) return
  const target = reserve(ring)
  if (target === -1) return
  const { u8, view } = ring
  const from = request.view
  const withUser = (kind & DeltaBit.user) !== 0
  const bits =
    family |
    kind |
    (peer.seeder ? DeltaBit.seeder : 0) |
    (withUser || ring.withCounts ? DeltaBit.counts : 0) |
    (withUser && session ? DeltaBit.session : 0)
  u8[target + DELTA_BITS] = bits
  u8[target + DELTA_SEEN] = nowSeconds & 0xff
  view.setUint16(target + DELTA_PORT, from.getUint16(at + PORT, true), true)
  let to = target + DELTA_ADDRESS
  const isWebsocket = family === Family.websocket
  to += copyWords(
    view,
    to,
    from,
    at + ADDRESS,
    isWebsocket ? CONNECTION_BYTES : DELTA_ADDRESS_BYTES[family],
  )
  if (isWebsocket) to += copyWords(view, to, from, at + CLIENT_ADDRESS, IP_BYTES_MAX)
  to += copyWords(view, to, from, at + INFO_HASH, 2 * HASH_BYTES)
  if ((bits & DeltaBit.counts) !== 0) {
    for (let field = 0; field < 3; field++) {
      const source = at + UPLOADED + field * (DOWNLOADED - UPLOADED)
      view.setUint32(to + COUNTS_UPLOADED + field * COUNT_BYTES, from.getUint32(source, true), true)
      view.setUint16(
        to + COUNTS_UPLOADED + field * COUNT_BYTES + 4,
        from.getUint16(source + 4, true),
        true,
      )
    }
    view.setUint16(to + COUNTS_EVENT, request.u8[at + EVENT]!, true)
    to += DELTA_COUNTS_BYTES
  }
  if (withUser) {
    to += copyWords(view, to, from, at + USER_KEY, HASH_BYTES)
    if (session) writeSessionTotals(view, to, session)
  }
  commit(ring, deltaBytes(bits))
}

/** A peer that is being removed, though its client did not send `stopped`. */
export type RemovedPeer = {
  /** Memory of the tables or of a request, and the offsets of these in it. */
  readonly view: DataView
  /** The address; of a WebSocket peer its connection. */
  readonly address: number
  readonly infoHash: number
  readonly peerId: number
}

/** The peer in a slot of the held stripe, before it is removed. */
export function removedPeer(
  arena: Arena,
  torrent: TorrentRef,
  family: Family,
  slot: Slot,
): RemovedPeer {
  const list = listOf(arena, torrent, family)
  return {
    view: arena.view,
    address: compactAt(arena, list, family, slot),
    infoHash: torrent + TORRENT_HASH,
    peerId: detailAt(arena, list, family, slot) + DETAIL_PEER_ID,
  }
}

/**
 * Writes what the deltas of removed peers have in common, at `target`. The address of a WebSocket
 * peer's client is zero. Returns where it ends.
 */
function writeRemoved(
  { u8, view }: DeltaRing,
  target: number,
  bits: number,
  peer: RemovedPeer,
): number {
  const family = (bits & DELTA_FAMILY_BITS) as Family
  const address = target + DELTA_ADDRESS
  const ids = address + DELTA_ADDRESS_BYTES[family]
  u8[target + DELTA_BITS] = bits
  u8[target + DELTA_SEEN] = 0
  view.setUint16(target + DELTA_PORT, 0)
  if (family !== Family.websocket) copyWords(view, address, peer.view, peer.address, ids - address)
  else {
    copyWords(view, address, peer.view, peer.address, CONNECTION_BYTES)
    u8.fill(0, address + CONNECTION_BYTES, ids)
  }
  copyWords(view, ids, peer.view, peer.infoHash, HASH_BYTES)
  copyWords(view, ids + HASH_BYTES, peer.view, peer.peerId, HASH_BYTES)
  return ids + 2 * HASH_BYTES
}

/** Writes the delta of a peer whose connection is closed. */
export function writeRemoval(ring: DeltaRing, peer: RemovedPeer, nowSeconds: number): void {
  const target = ring.withWebsocket ? reserve(ring) : -1
  if (target === -1) return
  const bits = Family.websocket | DeltaBit.stopped
  writeRemoved(ring, target, bits, peer)
  ring.u8[target + DELTA_SEEN] = nowSeconds & 0xff
  commit(ring, deltaBytes(bits))
}

/** Writes the delta of an IP peer that this node owned and that timed out. */
export function writeExpiry(
  ring: DeltaRing,
  peer: RemovedPeer,
  family: IpFamily,
  seen: number,
): void {
  const target = reserve(ring)
  if (target === -1) return
  const bits = family | DELTA_EXPIRED
  ring.view.setUint32(writeRemoved(ring, target, bits, peer), seen, true)
  ring.words[EXPIRED]!++
  commit(ring, deltaBytes(bits))
}

/** Counts an announce of which the other nodes need not know. */
export function countSkipped({ words }: DeltaRing): void {
  words[SKIPPED]!++
}

/** Announces that leases left out since the start, modulo 2^32. */
export function skippedDeltas({ words }: DeltaRing): number {
  return Atomics.load(words, SKIPPED) >>> 0
}

/** Peers whose timeout was written since the start, modulo 2^32. */
export function expiryDeltas({ words }: DeltaRing): number {
  return Atomics.load(words, EXPIRED) >>> 0
}

/** The number of some deltas, and the bits that any of them has. */
export type DeltaCount = { deltas: number; bits: number }

/**
 * Copies whole deltas to `out` at `at`, as many as fit before `end`, and frees them. Adds their
 * number and their DELTA_BITS to `count`. Returns where they end. Only the reader calls this.
 */
export function readDeltas(
  ring: DeltaRing,
  out: Uint8Array,
  at: number,
  end: number,
  count: DeltaCount,
): number {
  const { words, u8, size } = ring
  const written = Atomics.load(words, WRITTEN)
  let read = words[READ]!
  let to = at
  while (read !== written) {
    const from = read & (size - 1)
    if (u8[from] === RING_SKIP) {
      read = (read + size - from) | 0
      continue
    }
    const run = wholeDeltas(
      ring,
      from,
      Math.min(size - from, (written - read) | 0),
      end - to,
      count,
    )
    if (run === 0) break
    out.set(u8.subarray(from, from + run), to)
    to += run
    read = (read + run) | 0
  }
  Atomics.store(words, READ, read)
  return to
}

/** Bytes of the deltas from `from` on that lie within `written` bytes and fit into `space`. */
function wholeDeltas(
  { u8 }: DeltaRing,
  from: number,
  written: number,
  space: number,
  count: DeltaCount,
): number {
  let run = 0
  while (run < written && u8[from + run] !== RING_SKIP) {
    const bits = u8[from + run]!
    const bytes = deltaBytes(bits)
    if (run + bytes > space) break
    run += bytes
    count.bits |= bits
    count.deltas++
  }
  return run
}

/** Deltas that did not fit since the start, modulo 2^32. */
export function droppedDeltas({ words }: DeltaRing): number {
  return Atomics.load(words, DROPPED) >>> 0
}
