import { COUNT_BOUNDS, type Histogram, observe, SECONDS_BOUNDS } from '../counters/histogram.ts'
import {
  countLink,
  createLinkCounters,
  frameRecords,
  LinkCounter,
  waitSeconds,
} from '../counters/link.ts'
import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import { REQUESTS_WAITING_MAX } from '../protocol/limits.ts'
import { ID, LENGTH } from '../protocol/records.ts'
import {
  clearFrame,
  createFrame,
  FRAME_HEADER_BYTES,
  FRAME_RECORDS,
  FRAME_SEQUENCE,
  type Frame,
  recordLength,
  reserveBytes,
  sealFrame,
} from './frame.ts'
import type { Link, Waiter } from './link.ts'
import { createWaiters, type Waiters } from './waiters.ts'

/**
 * Carries frames. The client does not reuse the memory of a sent frame until its reply frame has
 * arrived or the transport has failed.
 */
export type Transport = {
  send(frame: Uint8Array<ArrayBuffer>): void
  /** Drops the connection so that the transport can reconnect; `down` follows. */
  reset(): void
  close(): void
}

/** Events that a transport reports to the client. */
export type TransportEvents = {
  up(): void
  down(): void
  /** Returns false when the frame is malformed or does not answer a request frame. */
  frame(bytes: Bytes, at: number, length: number): boolean
}

/**
 * Two frames keep the engine busy while the replies to one of them travel; more would only hide
 * that the engine is slow.
 */
const FRAMES_IN_FLIGHT_MAX = 2
/** A frame without a reply for this long means that the engine hangs. */
const REPLY_MILLIS_MAX = 10_000
const CHECK_MILLIS = 1000

/** A sent frame whose reply has not arrived. Times in milliseconds of `performance.now()`. */
type SentFrame = {
  readonly frame: Frame
  readonly sequence: number
  /** Time at which the first record was submitted. */
  readonly begunAt: number
  readonly sentAt: number
}

/** Creates the client side of a link. `connect` starts the transport, which reports to `events`. */
export function createLink(connect: (events: TransportEvents) => Transport): Link {
  return new LinkClient(connect)
}

class LinkClient implements Link {
  readonly counters = createLinkCounters()
  readonly #recordsPerFrame: Histogram = frameRecords(this.counters)
  readonly #waits: Histogram = waitSeconds(this.counters)
  readonly #waiters: Waiters = createWaiters()
  readonly #inFlight: SentFrame[] = []
  readonly #spare: Frame[] = []
  #whenUp: (() => void)[] = []
  readonly #transport: Transport
  readonly #check: NodeJS.Timeout
  readonly #flush = () => this.#flushOpen()
  #open = createFrame()
  /** Time at which the first record of the open frame was submitted. */
  #begunAt = 0
  #sequence = 0
  #isFlushDue = false
  #isUp = false
  #isClosed = false

  constructor(connect: (events: TransportEvents) => Transport) {
    this.#transport = connect({
      up: () => this.#up(),
      down: () => this.#down(),
      frame: (bytes, at, length) => this.#settle(bytes, at, at + length),
    })
    this.#check = setInterval(() => this.#resetWhenStuck(), CHECK_MILLIS)
    this.#check.unref()
  }

  get open(): Bytes {
    return this.#open.bytes
  }

  get waiting(): number {
    return this.#waiters.count
  }

  whenUp(): Promise<void> {
    if (this.#isUp) return Promise.resolve()
    return new Promise(resolve => this.#whenUp.push(resolve))
  }

  reserve(bytes: number): number {
    const isFull = this.#waiters.count >= REQUESTS_WAITING_MAX
    if (!this.#isUp || isFull || !reserveBytes(this.#open, bytes)) return -1
    return this.#open.end
  }

  submit(at: number, bytes: number, waiter: Waiter): void {
    const open = this.#open
    open.bytes.view.setUint32(at + LENGTH, bytes, true)
    open.bytes.view.setUint32(at + ID, this.#waiters.add(waiter), true)
    if (open.records === 0) this.#begunAt = performance.now()
    open.end = at + bytes
    open.records++
    if (this.#isFlushDue || this.#inFlight.length >= FRAMES_IN_FLIGHT_MAX) return
    this.#isFlushDue = true
    setImmediate(this.#flush)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isUp = false
    clearInterval(this.#check)
    this.#failAll()
    this.#transport.close()
  }

  #up(): void {
    this.#isUp = true
    const resolves = this.#whenUp
    this.#whenUp = []
    for (const resolve of resolves) resolve()
  }

  #down(): void {
    this.#isUp = false
    this.#failAll()
  }

  #failAll(): void {
    countLink(this.counters, LinkCounter.failed, this.#waiters.count)
    clearFrame(this.#open)
    // The dead transport may still read these frames, so they are not reused.
    this.#inFlight.length = 0
    this.#waiters.failAll(Failure.unavailable)
  }

  #flushOpen(): void {
    this.#isFlushDue = false
    const frame = this.#open
    if (!this.#isUp || frame.records === 0 || this.#inFlight.length >= FRAMES_IN_FLIGHT_MAX) return
    this.#sequence = (this.#sequence + 1) >>> 0
    countLink(this.counters, LinkCounter.frames, 1)
    countLink(this.counters, LinkCounter.records, frame.records)
    observe(this.#recordsPerFrame, COUNT_BOUNDS, frame.records)
    this.#open = this.#spare.pop() ?? createFrame()
    this.#inFlight.push({
      frame,
      sequence: this.#sequence,
      begunAt: this.#begunAt,
      sentAt: performance.now(),
    })
    this.#transport.send(sealFrame(frame, this.#sequence))
  }

  /**
   * Gives each reply of the frame from `at` to `end` to its waiter. Returns false when it is
   * malformed.
   */
  #settle(bytes: Bytes, at: number, end: number): boolean {
    const { view } = bytes
    const sent = this.#takeSent(view.getUint32(at + FRAME_SEQUENCE, true))
    if (!sent) return false
    const waited = (performance.now() - sent.begunAt) / 1000
    observe(this.#waits, SECONDS_BOUNDS, waited, sent.frame.records)
    clearFrame(sent.frame)
    this.#spare.push(sent.frame)
    if (this.#open.records > 0) this.#flushOpen()
    let record = at + FRAME_HEADER_BYTES
    for (let left = view.getUint32(at + FRAME_RECORDS, true); left > 0; left--) {
      const recordBytes = recordLength(view, record, end)
      if (recordBytes === -1) return false
      this.#waiters.take(view.getUint32(record + ID, true))?.reply(bytes, record)
      record += recordBytes
    }
    return true
  }

  #takeSent(sequence: number): SentFrame | undefined {
    const n = this.#inFlight.findIndex(sent => sent.sequence === sequence)
    return n === -1 ? undefined : this.#inFlight.splice(n, 1)[0]
  }

  #resetWhenStuck(): void {
    const [oldest] = this.#inFlight
    if (oldest && performance.now() - oldest.sentAt > REPLY_MILLIS_MAX) this.#transport.reset()
  }
}
