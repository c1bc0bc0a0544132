import { areDeltas } from '../engine/apply.ts'

/**
 * A batch: deltas of one node, in order. Offsets in bytes from its start; integers little-endian.
 */
const MAGIC = 0x3244_534d // 'MSD2': another layout has another number
const BATCH_MAGIC = 0 //    u32
const BATCH_EPOCH = 4 //    u32, Unix second at which the node started
const BATCH_SEQUENCE = 8 // u32, one more for each batch of the node, from 1
const BATCH_BASE = 12 //    u32, Unix second; no delta of the batch is newer
const BATCH_COUNT = 16 //   u16, deltas
const BATCH_FLAGS = 18 //   u16
const BATCH_MILLIS = 24 //  f64, Unix time in milliseconds at which it was sent
export const BATCH_HEAD_BYTES = 32
/** The largest batch: some 1,300 deltas. */
export const BATCH_BYTES_MAX = 65_536

/** Bit of BATCH_FLAGS: deltas before this batch were lost. */
const DROPPED = 1

export type BatchHead = {
  readonly epoch: number
  readonly sequence: number
  readonly base: number
  readonly count: number
  readonly dropped: boolean
  readonly millis: number
}

export function writeBatchHead(batch: Buffer, head: BatchHead): void {
  batch.fill(0, 0, BATCH_HEAD_BYTES)
  batch.writeUInt32LE(MAGIC, BATCH_MAGIC)
  batch.writeUInt32LE(head.epoch, BATCH_EPOCH)
  batch.writeUInt32LE(head.sequence, BATCH_SEQUENCE)
  batch.writeUInt32LE(head.base, BATCH_BASE)
  batch.writeUInt16LE(head.count, BATCH_COUNT)
  batch.writeUInt16LE(head.dropped ? DROPPED : 0, BATCH_FLAGS)
  batch.writeDoubleLE(head.millis, BATCH_MILLIS)
}

/** Reads the head of a batch and checks it whole. Returns the reason to refuse it as text. */
export function readBatch(batch: Buffer): BatchHead | string {
  if (batch.length < BATCH_HEAD_BYTES) return 'it is too short'
  if (batch.readUInt32LE(BATCH_MAGIC) !== MAGIC) return 'its format is unknown to this version'
  const count = batch.readUInt16LE(BATCH_COUNT)
  if (!areDeltas(batch, BATCH_HEAD_BYTES, batch.length, count)) return 'it is malformed'
  return {
    epoch: batch.readUInt32LE(BATCH_EPOCH),
    sequence: batch.readUInt32LE(BATCH_SEQUENCE),
    base: batch.readUInt32LE(BATCH_BASE),
    count,
    dropped: (batch.readUInt16LE(BATCH_FLAGS) & DROPPED) !== 0,
    millis: batch.readDoubleLE(BATCH_MILLIS),
  }
}
