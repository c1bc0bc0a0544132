import type { Applier } from '../engine/applier.ts'
import { noteDownloads } from '../engine/apply.ts'
import {
  type DeltaRing,
  droppedDeltas,
  expiryDeltas,
  readDeltas,
  skippedDeltas,
} from '../engine/delta-ring.ts'
import { noteStops } from '../engine/recent-stops.ts'
import { bytesOf } from '../protocol/bytes.ts'
import { DELTA_BYTES_MAX, DeltaBit } from '../protocol/delta-record.ts'
import { BATCH_BYTES_MAX, BATCH_HEAD_BYTES, writeBatchHead } from './batch.ts'

export type OutboxOptions = {
  readonly rings: readonly DeltaRing[]
  /** Knows the stops and downloads of this node. */
  readonly applier: Applier
  /** Unix second at which this node started. */
  readonly epoch: number
  readonly nowSeconds: () => number
  /** Bytes of batches that wait while no server is connected. */
  readonly backlogBytesMax: number
  /** Returns false where the batch cannot be sent now. */
  readonly send: (batch: Buffer) => boolean
}

/** Bytes sent in one call, so that a backlog does not block the thread. */
const SEND_BYTES_MAX = 4 * 2 ** 20

/**
 * The announces that this node received: reads the rings, makes batches, and sends them in order.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #pending = Buffer.alloc(BATCH_BYTES_MAX)
  readonly #deltas = { bytes: this.#pending, view: bytesOf(this.#pending).view }
  readonly #count = { deltas: 0, bits: 0 }
  readonly #waiting: Buffer[] = []
  #end = BATCH_HEAD_BYTES
  /** Downloads before it are noted. */
  #notedEnd = BATCH_HEAD_BYTES
  #hasDownloads = false
  readonly #dropped: RingSum
  readonly #skipped: RingSum
  readonly #expiries: RingSum
  #isGap = false
  #sequence = 0
  /** Number of the last batch that was sent. Batches that wait are not missing elsewhere yet. */
  sentSequence = 0
  waitingBytes = 0
  /** Deltas sent, and deltas lost before they were. */
  sent = 0
  dropped = 0
  batches = 0

  constructor(options: OutboxOptions) {
    this.#options = options
    const { rings } = options
    this.#dropped = new RingSum(rings, droppedDeltas)
    this.#skipped = new RingSum(rings, skippedDeltas)
    this.#expiries = new RingSum(rings, expiryDeltas)
  }

  /** Announces that leases left out. */
  get skipped(): number {
    return this.#skipped.sum
  }

  /** Peers of this node that timed out, of which the other nodes are informed. */
  get expiries(): number {
    return this.#expiries.sum
  }

  /** Announces of this node's clients, whether or not they were sent. */
  get announces(): number {
    return Math.max(0, this.sent + this.dropped + this.skipped - this.expiries)
  }

  /** Reads the rings. The stops and downloads of this node are known afterwards. */
  drain(): void {
    this.#noteDownloads()
    while (!this.readStops()) {
      this.#noteDownloads()
      this.#seal()
    }
    this.#noteDownloads()
    const dropped = this.#dropped.read()
    if (dropped > 0) this.#isGap = true
    this.dropped += dropped
    this.#skipped.read()
    this.#expiries.read()
  }

  /**
   * Reads the rings while a stripe is held, as far as the batch has space: the stops of this node
   * are known afterwards. Returns whether everything was read.
   */
  readStops(): boolean {
    const { applier, nowSeconds, rings } = this.#options
    for (const ring of rings) {
      const from = this.#end
      this.#count.bits = 0
      this.#end = readDeltas(ring, this.#pending, from, BATCH_BYTES_MAX, this.#count)
      if ((this.#count.bits & DeltaBit.stopped) !== 0) {
        noteStops(applier.stops, this.#pending, from, this.#end, nowSeconds())
      }
      this.#hasDownloads ||= (this.#count.bits & DeltaBit.completed) !== 0
      if (this.#end > BATCH_BYTES_MAX - ROOM_MIN) return false
    }
    return true
  }

  /** Notes the downloads among the deltas that were read since the last call. */
  #noteDownloads(): void {
    const { applier, nowSeconds } = this.#options
    if (this.#hasDownloads) {
      noteDownloads(applier, this.#deltas, this.#notedEnd, this.#end, nowSeconds())
    }
    this.#hasDownloads = false
    this.#notedEnd = this.#end
  }

  /** Sends everything that was read, as far as it can be sent. */
  flush(): void {
    this.drain()
    if (this.#count.deltas > 0 || this.#isGap) this.#seal()
    let bytes = 0
    while (bytes < SEND_BYTES_MAX) {
      const [batch] = this.#waiting
      if (!batch || !this.#options.send(batch)) return
      this.#waiting.shift()
      this.waitingBytes -= batch.length
      bytes += batch.length
      this.batches++
      this.sent += countOf(batch)
      this.sentSequence = sequenceOf(batch)
    }
  }

  #seal(): void {
    const { backlogBytesMax, epoch, nowSeconds } = this.#options
    const batch = Buffer.from(this.#pending.subarray(0, this.#end))
    this.#sequence = (this.#sequence + 1) >>> 0
    writeBatchHead(batch, {
      epoch,
      sequence: this.#sequence,
      base: nowSeconds(),
      count: this.#count.deltas,
      dropped: this.#isGap,
      millis: Date.now(),
    })
    this.#end = BATCH_HEAD_BYTES
    this.#notedEnd = BATCH_HEAD_BYTES
    this.#count.deltas = 0
    this.#isGap = false
    this.#waiting.push(batch)
    this.waitingBytes += batch.length
    // The numbers of the others show that these are missing.
    while (this.waitingBytes > backlogBytesMax) {
      const oldest = this.#waiting.shift()
      if (!oldest) return
      this.waitingBytes -= oldest.length
      this.dropped += countOf(oldest)
    }
  }
}

/** The sum of a count of all rings, which wraps in each. */
class RingSum {
  readonly #rings: readonly DeltaRing[]
  readonly #count: (ring: DeltaRing) => number
  readonly #last: number[]
  sum = 0

  constructor(rings: readonly DeltaRing[], count: (ring: DeltaRing) => number) {
    this.#rings = rings
    this.#count = count
    this.#last = rings.map(() => 0)
  }

  /** Returns what was added since the last call. */
  read(): number {
    let added = 0
    for (const [n, ring] of this.#rings.entries()) {
      const count = this.#count(ring)
      added += (count - (this.#last[n] ?? 0)) >>> 0
      this.#last[n] = count
    }
    this.sum += added
    return added
  }
}

/** Below this the longest delta may not fit. */
const ROOM_MIN = DELTA_BYTES_MAX

function countOf(batch: Buffer): number {
  return batch.readUInt16LE(16)
}

function sequenceOf(batch: Buffer): number {
  return batch.readUInt32LE(8)
}
