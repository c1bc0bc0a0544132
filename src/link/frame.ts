import { allocate, type Bytes, bytesOf } from '../protocol/bytes.ts'
import { FRAME_BYTES_MAX } from '../protocol/limits.ts'
import {
  ANNOUNCE_BYTES,
  FAMILY,
  Family,
  HASH_BYTES,
  HASH_COUNT,
  KIND,
  Kind,
  LENGTH,
  SCRAPE_REQUEST_HEADER_BYTES,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../protocol/records.ts'

/**
 * A frame is a header and the records of one event-loop turn, or the replies to them. Offsets in
 * bytes, integers little-endian.
 */
export const FRAME_MAGIC = 0 // u32, identifies a frame of this layout
export const FRAME_LENGTH = 4 // u32, the whole frame with its header
export const FRAME_SEQUENCE = 8 // u32, a reply frame repeats that of its request frame
export const FRAME_RECORDS = 12 // u32
export const FRAME_HEADER_BYTES = 16

const MAGIC = 0x3154_534d // "MST1"
/** The header that every record has. */
const RECORD_BYTES_MIN = 16
const FRAME_BYTES_AT_FIRST = 16 * 1024

/** A frame under construction, in reused memory. */
export type Frame = { bytes: Bytes<ArrayBuffer>; end: number; records: number }

export function createFrame(): Frame {
  return { bytes: allocate(FRAME_BYTES_AT_FIRST), end: FRAME_HEADER_BYTES, records: 0 }
}

export function clearFrame(frame: Frame): void {
  frame.end = FRAME_HEADER_BYTES
  frame.records = 0
}

/**
 * Makes space for `more` bytes behind the frame's end. Returns false when the frame would exceed
 * FRAME_BYTES_MAX.
 */
export function reserveBytes(frame: Frame, more: number): boolean {
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
  writeFrameHeader(frame.bytes.view, frame.end, sequence, frame.records)
  return frame.bytes.u8.subarray(0, frame.end)
}

/** Writes the header of a frame of `length` bytes at the start of `view`. */
export function writeFrameHeader(
  view: DataView,
  length: number,
  sequence: number,
  records: number,
): void {
  view.setUint32(FRAME_MAGIC, MAGIC, true)
  view.setUint32(FRAME_LENGTH, length, true)
  view.setUint32(FRAME_SEQUENCE, sequence, true)
  view.setUint32(FRAME_RECORDS, records, true)
}

/**
 * Length that the frame at `at` claims, or -1 when it is not a frame of at most `bytesMax`. At
 * least FRAME_HEADER_BYTES must be readable.
 */
export function frameLength(view: DataView, at: number, bytesMax = FRAME_BYTES_MAX): number {
  const length = view.getUint32(at + FRAME_LENGTH, true)
  const isFrame = view.getUint32(at + FRAME_MAGIC, true) === MAGIC
  return isFrame && length >= FRAME_HEADER_BYTES && length <= bytesMax ? length : -1
}

/** Length of the record at `at`, or -1 when it does not end before `end`. */
export function recordLength(view: DataView, at: number, end: number): number {
  if (at + RECORD_BYTES_MIN > end) return -1
  const length = view.getUint32(at + LENGTH, true)
  return length >= RECORD_BYTES_MIN && at + length <= end ? length : -1
}

/** Whether a request record of `length` bytes is long enough for its kind. */
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
 * Receives one whole frame: the memory that contains it and its position. Both are valid only until
 * the function returns. Returning false declares the stream invalid.
 */
export type OnFrame = (bytes: Bytes<ArrayBuffer>, at: number, length: number) => boolean

/** Cuts a byte stream into frames. */
export type FrameReader = {
  /** Returns false when the stream does not consist of frames: the caller must close it. */
  push(chunk: Uint8Array<ArrayBuffer>): boolean
}

/**
 * Creates a reader that calls `onFrame` for each frame. A longer frame than `bytesMax` is invalid.
 */
export function createFrameReader(onFrame: OnFrame, bytesMax = FRAME_BYTES_MAX): FrameReader {
  return new StreamReader(onFrame, bytesMax)
}

class StreamReader implements FrameReader {
  readonly #onFrame: OnFrame
  readonly #bytesMax: number
  /** The first bytes of a frame whose end has not arrived. */
  #partial = allocate(0)
  #partialBytes = 0

  constructor(onFrame: OnFrame, bytesMax: number) {
    this.#onFrame = onFrame
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array<ArrayBuffer>): boolean {
    if (this.#partialBytes === 0) {
      const at = this.#readFrames(bytesOf(chunk), chunk.length)
      if (at === -1) return false
      if (at < chunk.length) this.#append(chunk.subarray(at))
      return true
    }
    this.#append(chunk)
    const at = this.#readFrames(this.#partial, this.#partialBytes)
    if (at === -1) return false
    this.#partial.u8.copyWithin(0, at, this.#partialBytes)
    this.#partialBytes -= at
    return true
  }

  /** Reads every whole frame of the first `end` bytes. Returns where the rest begins, or -1. */
  #readFrames(bytes: Bytes<ArrayBuffer>, end: number): number {
    let at = 0
    while (at + FRAME_HEADER_BYTES <= end) {
      const length = frameLength(bytes.view, at, this.#bytesMax)
      if (length === -1) return -1
      if (at + length > end) break
      if (!this.#onFrame(bytes, at, length)) return -1
      at += length
    }
    return at
  }

  #append(more: Uint8Array<ArrayBuffer>): void {
    const needed = this.#partialBytes + more.length
    if (needed > this.#partial.u8.length) {
      const larger = new Uint8Array(
        Math.max(needed, this.#partial.u8.length * 2, FRAME_BYTES_AT_FIRST),
      )
      larger.set(this.#partial.u8.subarray(0, this.#partialBytes))
      this.#partial = bytesOf(larger)
    }
    this.#partial.u8.set(more, this.#partialBytes)
    this.#partialBytes = needed
  }
}
