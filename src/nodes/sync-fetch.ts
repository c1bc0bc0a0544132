import { type Applier, applyDelta, areDeltas } from '../engine/apply.ts'
import { type Imported, importRecord } from '../engine/import-record.ts'
import { importSessions } from '../engine/session-transfer.ts'
import { recordEnd } from '../engine/torrent-record.ts'
import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { deltaBytes } from '../protocol/delta-record.ts'
import type { Bus } from './bus.ts'
import {
  CHUNK_HEAD_BYTES,
  type ChunkHead,
  readChunkHead,
  SyncState,
  writeSyncRequest,
} from './sync-chunk.ts'

const REQUEST_MILLIS = 3000
const ATTEMPTS_MAX = 4

export type FetchOptions = {
  readonly bus: Bus
  readonly node: string
  readonly subject: string
  /** Unix second. */
  readonly since: number
  readonly applier: Applier
  readonly nowSeconds: () => number
  /** Called before each chunk is merged. */
  readonly beforeMerge: () => void
}

/** Result of a transfer. */
export type Fetched = { readonly imported: Imported; readonly bytes: number }

/** Fetches everything that a node knows since `since`, and merges it: the newer one wins. */
export async function fetchSince(options: FetchOptions): Promise<Fetched> {
  const { beforeMerge, since } = options
  const imported: Imported = { torrents: 0, peers: [0, 0], expired: 0, newer: 0, refused: 0 }
  let transfer = 0
  let bytes = 0
  for (let number = 0; ; number++) {
    const request = { since, transfer, chunk: number }
    const { chunk, head } = await requestChunk(options, request)
    transfer = head.transfer
    bytes += chunk.length
    beforeMerge()
    merge(options, chunk, head, imported)
    if (head.state === SyncState.done) return { imported, bytes }
  }
}

async function requestChunk(
  { bus, subject }: FetchOptions,
  request: Parameters<typeof writeSyncRequest>[0],
): Promise<{ chunk: Buffer; head: ChunkHead }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const chunk = await bus.request(subject, writeSyncRequest(request), REQUEST_MILLIS)
      const head = readChunkHead(chunk)
      if (!head) throw new Error('its answer is damaged, or of another version')
      if (head.state === SyncState.refused) throw new Error('it gives to others, or was restarted')
      if (head.number !== request.chunk) throw new Error('its answer is for another chunk')
      return { chunk, head }
    } catch (error) {
      // A transfer that the node does not know cannot be resumed.
      if (attempt === ATTEMPTS_MAX || request.transfer === 0) throw error
    }
  }
}

function merge(options: FetchOptions, chunk: Buffer, head: ChunkHead, imported: Imported): void {
  const { applier, node, nowSeconds } = options
  const { engine, stops } = applier
  const records = bytesOf(chunk)
  const stopsAt = CHUNK_HEAD_BYTES + head.recordsBytes
  const rules = {
    nowSeconds: nowSeconds(),
    settings: engine.settings,
    hasStopped: (_: Bytes, peer: HasStoppedPeer, hash: number, seen: number) =>
      stops.hasStopped(
        { bytes: chunk, family: peer.family, address: peer.addressAt, hash, id: peer.idAt },
        seen,
        node,
      ),
  }
  for (let at = CHUNK_HEAD_BYTES; at < stopsAt; ) {
    if (recordEnd(records.view, at, stopsAt) === -1) throw new Error('a record of it is malformed')
    at = importRecord(engine, records, at, rules, imported)
  }
  applier.nowSeconds = rules.nowSeconds
  applier.from = node
  const stopsEnd = stopsAt + head.stopsBytes
  for (let at = stopsAt; at < stopsEnd; ) {
    const delta = at + 4
    const end = delta + (delta < stopsEnd ? deltaBytes(chunk.readUInt8(delta)) : 0)
    if (end > stopsEnd || !areDeltas(chunk, delta, end, 1)) throw new Error('a stop is malformed')
    applyDelta(applier, { bytes: chunk, view: records.view }, delta, chunk.readUInt32LE(at))
    at = end
  }
  importSessions(engine, records, stopsEnd, stopsEnd + head.sessionsBytes)
}

type HasStoppedPeer = Parameters<NonNullable<Parameters<typeof importRecord>[3]['hasStopped']>>[1]
