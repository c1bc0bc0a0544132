import type { Applier } from '../engine/applier.ts'
import { applyDelta, areDeltas, isKnownSince } from '../engine/apply.ts'
import { type Imported, importRecord } from '../engine/import-record.ts'
import { LEASE_ANNOUNCES } from '../engine/peer-leases.ts'
import { importSessions } from '../engine/session-transfer.ts'
import { recordEnd } from '../engine/torrent-record.ts'
import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { DeltaBit, deltaBytes } from '../protocol/delta-record.ts'
import type { Bus } from './bus.ts'
import {
  CHUNK_HEAD_BYTES,
  type ChunkHead,
  readChunkHead,
  type SyncKind,
  SyncState,
  writeSyncRequest,
} from './sync-chunk.ts'

const REQUEST_MILLIS = 3000
const ATTEMPTS_MAX = 4

export type FetchOptions = {
  readonly bus: Bus
  readonly node: string
  readonly subject: string
  readonly kind: SyncKind
  /** Unix second. */
  readonly since: number
  /** Adopts the connection in a delta; false if it is not to be applied. */
  readonly adopt: (bytes: Buffer, at: number) => boolean
  readonly applier: Applier
  readonly nowSeconds: () => number
  /** The lease of the node's peers; 0 while it is not up. */
  readonly leaseOf: () => number
  /** Called before each chunk is merged. */
  readonly beforeMerge: () => void
}

/** Result of a transfer. */
export type Fetched = { readonly imported: Imported; readonly bytes: number }

/** Fetches everything that a node knows since `since`, and merges it: the newer one wins. */
export async function fetchSince(options: FetchOptions): Promise<Fetched> {
  const { beforeMerge, kind, since } = options
  const imported: Imported = { torrents: 0, peers: [0, 0], expired: 0, newer: 0, refused: 0 }
  let transfer = 0
  let bytes = 0
  for (let number = 0; ; number++) {
    const request = { kind, since, transfer, chunk: number }
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
  const { applier, leaseOf, node, nowSeconds } = options
  const { engine, stops } = applier
  const now = nowSeconds()
  const records = bytesOf(chunk)
  const peersAt = CHUNK_HEAD_BYTES + head.recordsBytes
  const rules = {
    nowSeconds: now,
    settings: engine.settings,
    giver: { lease: leaseOf(), leasedSince: now - engine.settings.peersTimeout * LEASED_TIMEOUTS },
    hasStopped: (_: Bytes, peer: HasStoppedPeer, hash: number, seen: number) => {
      const place = {
        bytes: chunk,
        family: peer.family,
        address: peer.addressAt,
        hash,
        id: peer.idAt,
      }
      // A client may have stopped since the chunk was requested, or since its merge began.
      applier.readStops()
      return stops.hasStopped(place, seen, node)
    },
  }
  for (let at = CHUNK_HEAD_BYTES; at < peersAt; ) {
    if (recordEnd(records.view, at, peersAt) === -1) throw new Error('a record of it is malformed')
    at = importRecord(engine, records, at, rules, imported)
  }
  applier.nowSeconds = rules.nowSeconds
  const peersEnd = peersAt + head.peersBytes
  for (let at = peersAt; at < peersEnd; ) at = mergePeer(options, chunk, at, peersEnd)
  importSessions(engine, records, peersEnd, peersEnd + head.sessionsBytes)
}

/** Maximum age of the last announce of another node's peer, in timeouts. */
const LEASED_TIMEOUTS = LEASE_ANNOUNCES + 1

/** Sender of what a transfer says of peers: not in order with the stops of any node. */
const TRANSFER = '*'

/**
 * Applies the entry of CHUNK_PEERS at `at`, and returns where it ends. Throws if the entry is
 * malformed.
 */
function mergePeer(options: FetchOptions, chunk: Buffer, at: number, limit: number): number {
  const { adopt, applier, node } = options
  const delta = at + 4
  const end = delta + (delta < limit ? deltaBytes(chunk.readUInt8(delta)) : 0)
  if (end > limit || !areDeltas(chunk, delta, end, 1)) throw new Error('a peer is malformed')
  if (!adopt(chunk, delta)) return end
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  const seen = chunk.readUInt32LE(at)
  const isStop = (chunk.readUInt8(delta) & DeltaBit.stopped) !== 0
  // A delta of the same announce may have come with the peer's user, which this entry lacks.
  if (!isStop && isKnownSince(applier, view, delta, seen)) return end
  applier.from = isStop ? node : TRANSFER
  applyDelta(applier, { bytes: chunk, view }, delta, seen)
  return end
}

type HasStoppedPeer = Parameters<NonNullable<Parameters<typeof importRecord>[3]['hasStopped']>>[1]
