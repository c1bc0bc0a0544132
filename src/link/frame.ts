import { allocate, type Bytes, bytesOf } from '../protocol/bytes.ts'
import { FRAME_BYTES_MAX } from '../protocol/limits.ts'
import {
  ANNOUNCE_BYTES,
  FAMILY,
  Family,
  HASH_BYTES,
  KIND,
  Kind,
  LENGTH,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../protocol/records.ts'
import { HASH_COUNT, SCRAPE_REQUEST_HEADER_BYTES } from '../protocol/scrape-record.ts'

/**
 * What travels on the link: a header and the records of one event-loop turn, or the replies to them. Offsets in bytes,
 * integers little-endian.
 */
export const FRAME_MAGIC = 0 // u32, tells a frame of this layout from anything else
export const FRAME_LENGTH = 4 // u32, the whole frame
export const FRAME_SEQUENCE = 8 // u32, a reply frame has that of its request frame
export const FRAME_RECORDS = 12 // u32
export const FRAME_HEADER_BYTES = 16

const MAGIC = 0x3154_534d // "MST1"
/** No record is shorter than the header that all have. */
const RECORD_BYTES_MIN = 16
const FRAME_BYTES_AT_FIRST = 16 * 1024

/** A frame under construction, in memory that is used again. */
export type Frame = { bytes: Bytes<ArrayBuffer>; end: number; records: number }

export function createFrame(): Frame {
  return { bytes: allocate(FRAME_BYTES_AT_FIRST), end: FRAME_HEADER_BYTES, records: 0 }
}

export function clearFrame(frame: Frame): void {
  frame.end = FRAME_HEADER_BYTES
  frame.records = 0
}

/** Makes sure that `more` bytes fit behind the frame's end. False when it would become longer than a frame may be. */
export function makeRoom(frame: Frame, more: number): boolean {
  const needed = frame.end + more
  if (needed <= frame.bytes.u8.length) return true
  if (needed > FRAME_BYTES_MAX) return false
  const larger = new Uint8Array(
    Math.min(FRAME_BYTES_MAX, Math.max(needed, frame.bytes.u8.length * 2)),
  )
  larger.set(frame.bytes.u8.subarray(0, frame.end))
  frame.bytes = bytesOf(larger)
  return true
}

/** Writes the header and returns the frame's bytes, a view of the same memory. */
export function sealFrame(frame: Frame, sequence: number): Uint8Array<ArrayBuffer> {
  const { view, u8 } = frame.bytes
  view.setUint32(FRAME_MAGIC, MAGIC, true)
  view.setUint32(FRAME_LENGTH, frame.end, true)
  view.setUint32(FRAME_SEQUENCE, sequence, true)
  view.setUint32(FRAME_RECORDS, frame.records, true)
  return u8.subarray(0, frame.end)
}

/** Length that the frame at `at` claims, or -1 when it is none. At least FRAME_HEADER_BYTES must be there. */
export function frameLength(view: DataView, at: number): number {
  const length = view.getUint32(at + FRAME_LENGTH, true)
  const isFrame = view.getUint32(at + FRAME_MAGIC, true) === MAGIC
  return isFrame && length >= FRAME_HEADER_BYTES && length <= FRAME_BYTES_MAX ? length : -1
}

/** Length of the record at `at`, or -1 when it does not end before `end`. */
export function recordLength(view: DataView, at: number, end: number): number {
  if (at + RECORD_BYTES_MIN > end) return -1
  const length = view.getUint32(at + LENGTH, true)
  return length >= RECORD_BYTES_MIN && at + length <= end ? length : -1
}

/** Whether a request record of `length` bytes has all that its kind needs. */
export function isRequest(bytes: Bytes, at: number, length: number): boolean {
  const kind = bytes.u8[at + KIND]
  if (kind === Kind.announce) {
    const isWebsocket = bytes.u8[at + FAMILY] === Family.websocket
    return length >= (isWebsocket ? WEBSOCKET_ANNOUNCE_BYTES : ANNOUNCE_BYTES)
  }
  if (kind === Kind.leave) return length >= ANNOUNCE_BYTES
  if (kind !== Kind.scrape) return false
  return (
    length >= SCRAPE_REQUEST_HEADER_BYTES + bytes.view.getUint16(at + HASH_COUNT, true) * HASH_BYTES
  )
}

/**
 * Cuts a byte stream into frames. `onFrame` gets the memory that the frame lies in and where; both are only good until it returns.
 */
export type FrameReader = { push(chunk: Uint8Array<ArrayBuffer>): boolean }

/** `push` returns false when the stream is not one of frames: the caller closes it then. */
export function createFrameReader(
  onFrame: (bytes: Bytes<ArrayBuffer>, at: number, length: number) => boolean,
): FrameReader {
  let kept = allocate(0)
  let keptBytes = 0

  function keep(more: Uint8Array<ArrayBuffer>): void {
    if (keptBytes + more.length > kept.u8.length) {
      const larger = new Uint8Array(
        Math.max(keptBytes + more.length, kept.u8.length * 2, FRAME_BYTES_AT_FIRST),
      )
      larger.set(kept.u8.subarray(0, keptBytes))
      kept = bytesOf(larger)
    }
    kept.u8.set(more, keptBytes)
    keptBytes += more.length
  }

  /** Hands on every whole frame of the first `end` bytes and returns where the rest begins, -1 for nonsense. */
  function readFrames(bytes: Bytes<ArrayBuffer>, end: number): number {
    let at = 0
    while (at + FRAME_HEADER_BYTES <= end) {
      const length = frameLength(bytes.view, at)
      if (length === -1) return -1
      if (at + length > end) break
      if (!onFrame(bytes, at, length)) return -1
      at += length
    }
    return at
  }

  return {
    push(chunk) {
      if (keptBytes === 0) {
        const at = readFrames(bytesOf(chunk), chunk.length)
        if (at === -1) return false
        if (at < chunk.length) keep(chunk.subarray(at))
        return true
      }
      keep(chunk)
      const at = readFrames(kept, keptBytes)
      if (at === -1) return false
      kept.u8.copyWithin(0, at, keptBytes)
      keptBytes -= at
      return true
    },
  }
}
