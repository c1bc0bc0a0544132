import type { Applier } from '../engine/applier.ts'
import { isKnownSince } from '../engine/apply.ts'
import {
  createSocketCursor,
  exportSockets,
  isSocketEnd,
  SOCKET_ENTRY_BYTES,
  type SocketCursor,
} from '../engine/export-sockets.ts'
import { createExportCursor, type ExportCursor, exportChunk } from '../engine/export-stripe.ts'
import { dropOldPeers, type Wanted } from '../engine/recent-records.ts'
import { OWN_NODE, type Stop } from '../engine/recent-stops.ts'
import {
  createSessionCursor,
  exportSessions,
  isSessionEnd,
  SESSION_RECORD_BYTES,
  type SessionCursor,
} from '../engine/session-transfer.ts'
import { RECORD_BYTES_MAX } from '../engine/torrent-record.ts'
import { allocate, type Bytes } from '../protocol/bytes.ts'
import { DELTA_BITS, DELTA_BYTES_MAX, DELTA_FAMILY_BITS } from '../protocol/delta-record.ts'
import { Family } from '../protocol/records.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_HEAD_BYTES,
  type ChunkHead,
  readSyncRequest,
  SyncKind,
  type SyncRequest,
  SyncState,
  writeChunkHead,
} from './sync-chunk.ts'

/** Transfers at the same time; another node asks again later. */
const TRANSFERS_MAX = 4
/** Complete transfers whose last chunk can be given again. */
const COMPLETE_MAX = 16
const FORGOTTEN_MILLIS = 30_000
/** Seconds from the restore of a snapshot to the transfer, and by which clocks differ. */
const RESTORE_SECONDS_MAX = 120
/** Time for one chunk: batches of other nodes wait meanwhile. */
const CHUNK_MILLIS = 8

type Transfer = Wanted & {
  cursor: ExportCursor
  readonly sockets: SocketCursor
  /** Stops that are to follow the records. */
  stops: Iterator<Stop> | undefined
  areStopsDone: boolean
  /** Undefined where sessions are not wanted. */
  readonly sessions: SessionCursor | undefined
  last: Buffer
  lastNumber: number
  isComplete: boolean
  usedMillis: number
}

/**
 * Gives other nodes what this one knows since some second: torrent records, the WebSocket peers
 * that are connected to it, the peers that stopped, and users' sessions. The receiver asks for one
 * chunk after the other and so sets the pace; a chunk that got lost is given again.
 */
export class SyncSource {
  readonly #applier: Applier
  readonly #nowSeconds: () => number
  readonly #transfers = new Map<number, Transfer>()
  readonly #memory = allocate(CHUNK_BYTES_MAX)
  /** A random start, so that a node which was restarted does not know the numbers of before. */
  #lastTransfer = Math.floor(Math.random() * 2 ** 31)

  constructor(applier: Applier, nowSeconds: () => number) {
    this.#applier = applier
    this.#nowSeconds = nowSeconds
  }

  /** Answers a request; undefined for what is not one. */
  answer(data: Buffer): Buffer | undefined {
    const request = readSyncRequest(data)
    if (!request) return undefined
    const now = performance.now()
    for (const [id, { usedMillis }] of this.#transfers) {
      if (now - usedMillis > FORGOTTEN_MILLIS) this.#transfers.delete(id)
    }
    const id = request.transfer === 0 ? this.#begin(request) : request.transfer
    const transfer = this.#transfers.get(id)
    if (!transfer) {
      return chunkOf(Buffer.alloc(CHUNK_HEAD_BYTES), {
        transfer: id,
        number: request.chunk,
        state: SyncState.refused,
        recordsBytes: 0,
        peersBytes: 0,
      })
    }
    transfer.usedMillis = now
    if (request.chunk === transfer.lastNumber) return transfer.last
    transfer.last = this.#next(transfer, id, request.chunk)
    transfer.lastNumber = request.chunk
    return transfer.last
  }

  #begin({ kind, since }: SyncRequest): number {
    const complete = [...this.#transfers].filter(([, { isComplete }]) => isComplete)
    if (this.#transfers.size - complete.length >= TRANSFERS_MAX) return 0
    const [oldest] = complete
    if (oldest && complete.length >= COMPLETE_MAX) this.#transfers.delete(oldest[0])
    this.#lastTransfer++
    const isAll = kind !== SyncKind.sockets
    const { settings, stripeCount } = this.#applier.engine
    const old = this.#nowSeconds() - settings.peersTimeout + RESTORE_SECONDS_MAX
    this.#transfers.set(this.#lastTransfer, {
      since,
      leasedBefore: kind === SyncKind.join ? old : 0,
      cursor: createExportCursor(isAll ? 0 : stripeCount, since),
      sockets: createSocketCursor(since),
      stops: undefined,
      areStopsDone: !isAll,
      sessions: isAll ? createSessionCursor(since) : undefined,
      last: Buffer.alloc(0),
      lastNumber: -1,
      isComplete: false,
      usedMillis: 0,
    })
    return this.#lastTransfer
  }

  #next(transfer: Transfer, id: number, number: number): Buffer {
    const until = performance.now() + CHUNK_MILLIS
    const out = this.#memory
    const { engine, stops } = this.#applier
    const { stripeCount } = engine
    let end = CHUNK_HEAD_BYTES
    while (transfer.cursor.stripe < stripeCount) {
      if (end + RECORD_BYTES_MAX > CHUNK_BYTES_MAX || performance.now() > until) break
      const from = end
      end = exportChunk(engine, transfer.cursor, out, from)
      if (transfer.since > 0) end = dropOldPeers(out, from, end, transfer)
      if (transfer.cursor.done) {
        transfer.cursor = createExportCursor(transfer.cursor.stripe + 1, transfer.since)
      }
    }
    const recordsBytes = end - CHUNK_HEAD_BYTES
    const areRecordsDone = transfer.cursor.stripe >= stripeCount
    while (areRecordsDone && !isSocketEnd(engine, transfer.sockets)) {
      if (end + SOCKET_ENTRY_BYTES > CHUNK_BYTES_MAX || performance.now() > until) break
      end = exportSockets(engine, transfer.sockets, out, end, CHUNK_BYTES_MAX)
    }
    const areSocketsDone = areRecordsDone && isSocketEnd(engine, transfer.sockets)
    if (areSocketsDone && !transfer.areStopsDone) {
      transfer.stops ??= stops.since(transfer.since)
      const from = end
      end = writeStops(this.#applier, transfer.stops, out, end)
      transfer.areStopsDone = end === from
    }
    const peersBytes = end - CHUNK_HEAD_BYTES - recordsBytes
    const { sessions } = transfer
    const arePeersDone = areSocketsDone && transfer.areStopsDone
    while (arePeersDone && sessions && !isSessionEnd(engine, sessions)) {
      const from = end
      if (from + SESSION_RECORD_BYTES > CHUNK_BYTES_MAX || performance.now() > until) break
      end = exportSessions(engine, sessions, out, from, CHUNK_BYTES_MAX)
    }
    const isDone = arePeersDone && (!sessions || isSessionEnd(engine, sessions))
    transfer.isComplete = isDone
    const chunk = Buffer.from(out.u8.subarray(0, end))
    const state = isDone ? SyncState.done : SyncState.more
    return chunkOf(chunk, { transfer: id, number, state, recordsBytes, peersBytes })
  }
}

/**
 * Writes stops while they fit, but not of peers that are back, nor of WebSocket peers of other
 * nodes, and returns where they end.
 */
function writeStops(
  applier: Applier,
  stops: Iterator<Stop>,
  { u8, view }: Bytes,
  at: number,
): number {
  let end = at
  while (end + 4 + DELTA_BYTES_MAX <= CHUNK_BYTES_MAX) {
    const { done, value } = stops.next()
    if (done) break
    const family = Number(value.delta[DELTA_BITS]) & DELTA_FAMILY_BITS
    if (family === Family.websocket && value.from !== OWN_NODE) continue
    view.setUint32(end, value.seen, true)
    u8.set(value.delta, end + 4)
    if (isKnownSince(applier, view, end + 4, value.seen)) continue
    end += 4 + value.delta.length
  }
  return end
}

/** Completes a chunk whose payload is in place; the rest of it are sessions. */
function chunkOf(chunk: Buffer, head: Omit<ChunkHead, 'sessionsBytes'>): Buffer {
  const sessionsBytes = chunk.length - CHUNK_HEAD_BYTES - head.recordsBytes - head.peersBytes
  writeChunkHead(chunk, { ...head, sessionsBytes })
  return chunk
}
