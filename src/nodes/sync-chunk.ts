import { crc32 } from 'node:zlib'

/**
 * Request and answer of a transfer between two nodes. Offsets in bytes from the start; integers
 * little-endian.
 */
export const SYNC_REQUEST_BYTES = 12
/** A request with its SyncKind (u32). One for SyncKind.all has none, as in earlier versions. */
export const SYNC_REQUEST_KIND_BYTES = 16

export const SyncKind = {
  /** Everything that the node knows. */
  all: 0,
  /** Only the WebSocket peers that are connected to the node. */
  sockets: 1,
  /** Like `all`, and also the peers of other nodes that a snapshot no longer restores. */
  join: 2,
} as const
export type SyncKind = (typeof SyncKind)[keyof typeof SyncKind]

/** `transfer` is 0 in the first request; `chunk` counts from 0. */
export type SyncRequest = {
  readonly since: number
  readonly transfer: number
  readonly chunk: number
  readonly kind: SyncKind
}

export function writeSyncRequest({ chunk, kind, since, transfer }: SyncRequest): Buffer {
  const isShort = kind === SyncKind.all
  const request = Buffer.alloc(isShort ? SYNC_REQUEST_BYTES : SYNC_REQUEST_KIND_BYTES)
  request.writeUInt32LE(since, 0)
  request.writeUInt32LE(transfer, 4)
  request.writeUInt32LE(chunk, 8)
  if (!isShort) request.writeUInt32LE(kind, 12)
  return request
}

export function readSyncRequest(data: Buffer): SyncRequest | undefined {
  const isShort = data.length === SYNC_REQUEST_BYTES
  if (!isShort && data.length !== SYNC_REQUEST_KIND_BYTES) return undefined
  const kind = isShort ? SyncKind.all : data.readUInt32LE(12)
  if (!isSyncKind(kind)) return undefined
  return {
    kind,
    since: data.readUInt32LE(0),
    transfer: data.readUInt32LE(4),
    chunk: data.readUInt32LE(8),
  }
}

function isSyncKind(kind: number): kind is SyncKind {
  return Object.values<number>(SyncKind).includes(kind)
}

const MAGIC = 0x3153_534d // 'MSS1'
const CHUNK_MAGIC = 0 //    u32
const CHUNK_CRC = 4 //      u32, of what follows
const CHUNK_TRANSFER = 8 // u32
const CHUNK_NUMBER = 12 //  u32
const CHUNK_STATE = 16 //   u32, SyncState
const CHUNK_RECORDS = 20 // u32, bytes of torrent records (engine/torrent-record.ts)
// u32, bytes of peers that are connected to the node by WebSocket, then of those that stopped: for
// each a Unix second (u32) and its delta
const CHUNK_PEERS = 24
const CHUNK_SESSIONS = 28 // u32, bytes of users' sessions (engine/session-transfer.ts)
export const CHUNK_HEAD_BYTES = 32
/** Below the limit of a message, 1 MiB in a server's default configuration. */
export const CHUNK_BYTES_MAX = 512 * 1024

export const SyncState = {
  more: 0,
  /** The last chunk. */
  done: 1,
  /** The node does not know the transfer, or gives as many as it can. */
  refused: 2,
} as const
export type SyncState = (typeof SyncState)[keyof typeof SyncState]

export type ChunkHead = {
  readonly transfer: number
  readonly number: number
  readonly state: SyncState
  readonly recordsBytes: number
  readonly peersBytes: number
  readonly sessionsBytes: number
}

/** Writes the head of a chunk whose payload is in place. */
export function writeChunkHead(chunk: Buffer, head: ChunkHead): void {
  chunk.writeUInt32LE(MAGIC, CHUNK_MAGIC)
  chunk.writeUInt32LE(head.transfer, CHUNK_TRANSFER)
  chunk.writeUInt32LE(head.number, CHUNK_NUMBER)
  chunk.writeUInt32LE(head.state, CHUNK_STATE)
  chunk.writeUInt32LE(head.recordsBytes, CHUNK_RECORDS)
  chunk.writeUInt32LE(head.peersBytes, CHUNK_PEERS)
  chunk.writeUInt32LE(head.sessionsBytes, CHUNK_SESSIONS)
  chunk.writeUInt32LE(crc32(chunk.subarray(CHUNK_CRC + 4)), CHUNK_CRC)
}

/** Reads the head of a chunk; undefined if the chunk is damaged or of another version. */
export function readChunkHead(chunk: Buffer): ChunkHead | undefined {
  if (chunk.length < CHUNK_HEAD_BYTES || chunk.readUInt32LE(CHUNK_MAGIC) !== MAGIC) return undefined
  if (chunk.readUInt32LE(CHUNK_CRC) !== crc32(chunk.subarray(CHUNK_CRC + 4))) return undefined
  const head = {
    transfer: chunk.readUInt32LE(CHUNK_TRANSFER),
    number: chunk.readUInt32LE(CHUNK_NUMBER),
    state: chunk.readUInt32LE(CHUNK_STATE) as SyncState,
    recordsBytes: chunk.readUInt32LE(CHUNK_RECORDS),
    peersBytes: chunk.readUInt32LE(CHUNK_PEERS),
    sessionsBytes: chunk.readUInt32LE(CHUNK_SESSIONS),
  }
  const payload = head.recordsBytes + head.peersBytes + head.sessionsBytes
  return CHUNK_HEAD_BYTES + payload === chunk.length ? head : undefined
}
