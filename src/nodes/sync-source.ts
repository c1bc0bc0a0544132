import { type Applier, hasReturned } from '../engine/apply.ts'
import { createExportCursor, type ExportCursor, exportChunk } from '../engine/export-stripe.ts'
import { dropOldPeers } from '../engine/recent-records.ts'
import {
  createSessionCursor,
  exportSessions,
  isSessionEnd,
  SESSION_RECORD_BYTES,
  type SessionCursor,
} from '../engine/session-transfer.ts'
import { RECORD_BYTES_MAX } from '../engine/torrent-record.ts'
import { allocate, type Bytes } from '../protocol/bytes.ts'
import { DELTA_BYTES_MAX } from '../protocol/delta-record.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_HEAD_BYTES,
  type ChunkHead,
  readSyncRequest,
  SyncState,
  writeChunkHead,
} from './sync-chunk.ts'

/** Transfers at the same time; another node asks again later. */
const TRANSFERS_MAX = 4
const FORGOTTEN_MILLIS = 30_000
/** Time for one chunk: batches of other nodes wait meanwhile. */
const CHUNK_MILLIS = 8

type Transfer = {
  readonly since: number
  cursor: ExportCursor
  /** Stops that are to follow the records. */
  stops: Iterator<{ seen: number; delta: Uint8Array }> | undefined
  areStopsDone: boolean
  readonly sessions: SessionCursor
  last: Buffer
  lastNumber: number
  usedMillis: number
}

/**
 * Gives other nodes what this one knows since some second: torrent records, the peers that
 * stopped, and users' sessions. The receiver asks for one chunk after the other and so sets the
 * pace; a chunk that got lost is given again.
 */
export class SyncSource {
  readonly #applier: Applier
  readonly #transfers = new Map<number, Transfer>()
  readonly #memory = allocate(CHUNK_BYTES_MAX)
  #lastTransfer = 0

  constructor(applier: Applier) {
    this.#applier = applier
  }

  /** Answers a request; undefined for what is not one. */
  answer(data: Buffer): Buffer | undefined {
    const request = readSyncRequest(data)
    if (!request) return undefined
    const now = performance.now()
    for (const [id, { usedMillis }] of this.#transfers) {
      if (now - usedMillis > FORGOTTEN_MILLIS) this.#transfers.delete(id)
    }
    const id = request.transfer === 0 ? this.#begin(request.since) : request.transfer
    const transfer = this.#transfers.get(id)
    if (!transfer) {
      return chunkOf(Buffer.alloc(CHUNK_HEAD_BYTES), {
        transfer: id,
        number: request.chunk,
        state: SyncState.refused,
        recordsBytes: 0,
        stopsBytes: 0,
      })
    }
    transfer.usedMillis = now
    if (request.chunk === transfer.lastNumber) return transfer.last
    transfer.last = this.#next(transfer, id, request.chunk)
    transfer.lastNumber = request.chunk
    return transfer.last
  }

  #begin(since: number): number {
    if (this.#transfers.size >= TRANSFERS_MAX) return 0
    this.#lastTransfer++
    this.#transfers.set(this.#lastTransfer, {
      since,
      cursor: createExportCursor(0, since),
      stops: undefined,
      areStopsDone: false,
      sessions: createSessionCursor(since),
      last: Buffer.alloc(0),
      lastNumber: -1,
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
      if (transfer.since > 0) end = dropOldPeers(out, from, end, transfer.since)
      if (transfer.cursor.done) {
        transfer.cursor = createExportCursor(transfer.cursor.stripe + 1, transfer.since)
      }
    }
    const recordsBytes = end - CHUNK_HEAD_BYTES
    const areRecordsDone = transfer.cursor.stripe >= stripeCount
    if (areRecordsDone && !transfer.areStopsDone) {
      transfer.stops ??= stops.since(transfer.since)
      const from = end
      end = writeStops(this.#applier, transfer.stops, out, end)
      transfer.areStopsDone = end === from
    }
    const stopsBytes = end - CHUNK_HEAD_BYTES - recordsBytes
    while (transfer.areStopsDone && !isSessionEnd(engine, transfer.sessions)) {
      const from = end
      if (from + SESSION_RECORD_BYTES > CHUNK_BYTES_MAX || performance.now() > until) break
      end = exportSessions(engine, transfer.sessions, out, from, CHUNK_BYTES_MAX)
    }
    const isDone = transfer.areStopsDone && isSessionEnd(engine, transfer.sessions)
    const chunk = Buffer.from(out.u8.subarray(0, end))
    const state = isDone ? SyncState.done : SyncState.more
    return chunkOf(chunk, { transfer: id, number, state, recordsBytes, stopsBytes })
  }
}

/** Writes stops while they fit, but not of peers that are back, and returns where they end. */
function writeStops(
  applier: Applier,
  stops: Iterator<{ seen: number; delta: Uint8Array }>,
  { u8, view }: Bytes,
  at: number,
): number {
  let end = at
  while (end + 4 + DELTA_BYTES_MAX <= CHUNK_BYTES_MAX) {
    const { done, value } = stops.next()
    if (done) break
    view.setUint32(end, value.seen, true)
    u8.set(value.delta, end + 4)
    if (hasReturned(applier, view, end + 4, value.seen)) continue
    end += 4 + value.delta.length
  }
  return end
}

/** Completes a chunk whose payload is in place; the rest of it are sessions. */
function chunkOf(chunk: Buffer, head: Omit<ChunkHead, 'sessionsBytes'>): Buffer {
  const sessionsBytes = chunk.length - CHUNK_HEAD_BYTES - head.recordsBytes - head.stopsBytes
  writeChunkHead(chunk, { ...head, sessionsBytes })
  return chunk
}
