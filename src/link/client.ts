import { COUNT_BOUNDS, observe, SECONDS_BOUNDS } from '../counters/histogram.ts'
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
  makeRoom,
  recordLength,
  sealFrame,
} from './frame.ts'
import type { Link, Waiter } from './link.ts'

/** What carries frames. The client keeps a sent frame's memory until its reply frame came or the transport went down. */
export type Transport = {
  send(frame: Uint8Array<ArrayBuffer>): void
  /** Drops the connection, if it can come back by itself; `down` follows. */
  reset(): void
  close(): void
}

/** What a transport tells the client. */
export type TransportEvents = {
  up(): void
  down(): void
  /** Returns false when the frame is nonsense. */
  frame(bytes: Bytes, at: number, length: number): boolean
}

/** Two frames keep the engine busy while one's replies travel; more would only hide that it is slow. */
const FRAMES_IN_FLIGHT_MAX = 2
/** A frame without a reply for so long means an engine that hangs. */
const REPLY_MILLIS_MAX = 10_000
const CHECK_MILLIS = 1000
/** An id is a waiter's slot below this many bits, and above them how often the slot was used: a late reply finds nobody. */
const SLOT_BITS = 16

export function createLink(connect: (events: TransportEvents) => Transport): Link {
  const waiters: (Waiter | undefined)[] = []
  const uses: number[] = []
  const freeSlots: number[] = []
  const inFlight: { frame: Frame; sequence: number; begunAt: number; sentAt: number }[] = []
  const spare: Frame[] = []
  const upWaiters: (() => void)[] = []
  const counters = createLinkCounters()
  const records = frameRecords(counters)
  const waits = waitSeconds(counters)
  /** When the first record of the open frame was submitted. */
  let begunAt = 0
  let open = createFrame()
  let sequence = 0
  let flushing = false
  let up = false
  let closed = false
  let waiting = 0

  function flush(): void {
    flushing = false
    if (!up || open.records === 0 || inFlight.length >= FRAMES_IN_FLIGHT_MAX) return
    sequence = (sequence + 1) >>> 0
    countLink(counters, LinkCounter.frames, 1)
    countLink(counters, LinkCounter.records, open.records)
    observe(records, COUNT_BOUNDS, open.records)
    const frame = open
    open = spare.pop() ?? createFrame()
    inFlight.push({ frame, sequence, begunAt, sentAt: performance.now() })
    transport.send(sealFrame(frame, sequence))
  }

  function settle(id: number): Waiter | undefined {
    const slot = id & ((1 << SLOT_BITS) - 1)
    if (uses[slot] !== id >>> SLOT_BITS) return undefined
    const waiter = waiters[slot]
    if (!waiter) return undefined
    waiters[slot] = undefined
    freeSlots.push(slot)
    waiting--
    return waiter
  }

  function failAll(): void {
    countLink(counters, LinkCounter.failed, waiting)
    clearFrame(open)
    // What a dead transport may still read from is not used again.
    inFlight.length = 0
    for (let slot = 0; slot < waiters.length && waiting > 0; slot++) {
      const waiter = waiters[slot]
      if (!waiter) continue
      waiters[slot] = undefined
      freeSlots.push(slot)
      waiting--
      waiter.fail(Failure.unavailable)
    }
  }

  const events: TransportEvents = {
    up() {
      up = true
      for (const resolve of upWaiters.splice(0)) resolve()
    },
    down() {
      up = false
      failAll()
    },
    frame(bytes, at, length) {
      const answered = inFlight.findIndex(
        sent => sent.sequence === bytes.view.getUint32(at + FRAME_SEQUENCE, true),
      )
      const [sent] = answered === -1 ? [] : inFlight.splice(answered, 1)
      if (!sent) return false
      const waited = (performance.now() - sent.begunAt) / 1000
      observe(waits, SECONDS_BOUNDS, waited, sent.frame.records)
      clearFrame(sent.frame)
      spare.push(sent.frame)
      if (open.records > 0) flush()
      const end = at + length
      let record = at + FRAME_HEADER_BYTES
      for (let left = bytes.view.getUint32(at + FRAME_RECORDS, true); left > 0; left--) {
        const recordBytes = recordLength(bytes.view, record, end)
        if (recordBytes === -1) return false
        settle(bytes.view.getUint32(record + ID, true))?.reply(bytes, record)
        record += recordBytes
      }
      return true
    },
  }

  const transport = connect(events)
  const check = setInterval(() => {
    const [oldest] = inFlight
    if (oldest && performance.now() - oldest.sentAt > REPLY_MILLIS_MAX) transport.reset()
  }, CHECK_MILLIS)
  check.unref()

  return {
    get open() {
      return open.bytes
    },
    get waiting() {
      return waiting
    },
    counters,
    whenUp: () => (up ? Promise.resolve() : new Promise(resolve => upWaiters.push(resolve))),
    reserve(bytes) {
      if (!up || waiting >= REQUESTS_WAITING_MAX || !makeRoom(open, bytes)) return -1
      return open.end
    },
    submit(at, bytes, waiter) {
      let slot = freeSlots.pop()
      if (slot === undefined) {
        slot = waiters.length
        uses.push(0)
      }
      waiters[slot] = waiter
      const use = ((uses[slot] ?? 0) + 1) & 0xffff
      uses[slot] = use
      waiting++
      open.bytes.view.setUint32(at + LENGTH, bytes, true)
      open.bytes.view.setUint32(at + ID, ((use << SLOT_BITS) | slot) >>> 0, true)
      if (open.records === 0) begunAt = performance.now()
      open.end = at + bytes
      open.records++
      if (flushing || inFlight.length >= FRAMES_IN_FLIGHT_MAX) return
      flushing = true
      setImmediate(flush)
    },
    close() {
      if (closed) return
      closed = true
      up = false
      clearInterval(check)
      failAll()
      transport.close()
    },
  }
}
