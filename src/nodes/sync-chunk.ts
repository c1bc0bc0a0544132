import { crc32 } from 'node:zlib'

/**
 * Request and answer of a transfer between two nodes. Offsets in bytes from the start; integers
 * little-endian.
 */
export const SYNC_REQUEST_BYTES = 12

/** `transfer` is 0 in the first request; `chunk` counts from 0. */
export type SyncRequest = {
  readonly since: number
  readonly transfer: number
  readonly chunk: number
}

export function writeSyncRequest({ chunk, since, transfer }: SyncRequest): Buffer {
  const request = Buffer.alloc(SYNC_REQUEST_BYTES)
  request.writeUInt32LE(since, 0)
  request.writeUInt32LE(transfer, 4)
  request.writeUInt32LE(chunk, 8)
  return request
}

export function readSyncRequest(data: Buffer): SyncRequest | undefined {
  if (data.length !== SYNC_REQUEST_BYTES) return undefined
  return {
    since: data.readUInt32LE(0),
    transfer: data.readUInt32LE(4),
    chunk: data.readUInt32LE(8),
  }
}

const MAGIC = 0x3153_534d // 'MSS1'
const CHUNK_MAGIC = 0 //    u32
const CHUNK_CRC = 4 //      u32, of what follows
const CHUNK_TRANSFER = 8 // u32
const CHUNK_NUMBER = 12 //  u32
const CHUNK_STATE = 16 //   u32, SyncState
const CHUNK_RECORDS = 20 // u32, bytes of torrent records (engine/torrent-record.ts)
const CHUNK_STOPS = 24 //   u32, bytes of stops: Unix second (u32), then the delta of a peer that stopped
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
  readonly stopsBytes: number
  readonly sessionsBytes: number
}

/** Writes the head of a chunk whose payload is in place. */
export function writeChunkHead(chunk: Buffer, head: ChunkHead): void {
  chunk.writeUInt32LE(MAGIC, CHUNK_MAGIC)
  chunk.writeUInt32LE(head.transfer, CHUNK_TRANSFER)
  chunk.writeUInt32LE(head.number, CHUNK_NUMBER)
  chunk.writeUInt32LE(head.state, CHUNK_STATE)
  chunk.writeUInt32LE(head.recordsBytes, CHUNK_RECORDS)
  chunk.writeUInt32LE(head.stopsBytes, CHUNK_STOPS)
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
    stopsBytes: chunk.readUInt32LE(CHUNK_STOPS),
    sessionsBytes: chunk.readUInt32LE(CHUNK_SESSIONS),
  }
  const payload = head.recordsBytes + head.stopsBytes + head.sessionsBytes
  return CHUNK_HEAD_BYTES + payload === chunk.length ? head : undefined
}
