import { type Histogram, observe, SECONDS_BOUNDS } from '../counters/histogram.ts'
import type { Bytes } from '../protocol/bytes.ts'
import { ID, LENGTH } from '../protocol/records.ts'
import {
  clearFrame,
  createFrame,
  FRAME_HEADER_BYTES,
  FRAME_RECORDS,
  FRAME_SEQUENCE,
  type Frame,
  isRequest,
  recordLength,
  reserveBytes,
  sealFrame,
} from './frame.ts'
import type { Answer, AnswerBytesMax } from './link.ts'

/** The engine side of one or more links. */
export type LinkServer = { close(): Promise<void> }

/** How a link is answered, and the reply frame under construction. */
export type Replies = {
  /** When a socket still holds its memory, the caller replaces it with a new frame. */
  frame: Frame
  readonly answer: Answer
  readonly bytesMax: AnswerBytesMax
  /** Records how long the answers to each frame take. */
  readonly frameSeconds: Histogram | undefined
}

export function createReplies(
  answer: Answer,
  bytesMax: AnswerBytesMax,
  frameSeconds?: Histogram,
): Replies {
  return { frame: createFrame(), answer, bytesMax, frameSeconds }
}

/**
 * Answers every record of the request frame at `at` and returns the reply frame, in the memory of
 * `replies`. Returns undefined when the frame is malformed: the caller must close the link.
 */
export function answerFrame(
  bytes: Bytes,
  at: number,
  length: number,
  replies: Replies,
): Uint8Array<ArrayBuffer> | undefined {
  const { answer, bytesMax, frame, frameSeconds } = replies
  const begun = frameSeconds ? performance.now() : 0
  const { view } = bytes
  const end = at + length
  const records = view.getUint32(at + FRAME_RECORDS, true)
  clearFrame(frame)
  let record = at + FRAME_HEADER_BYTES
  for (let n = 0; n < records; n++) {
    const recordBytes = recordLength(view, record, end)
    if (recordBytes === -1 || !isRequest(bytes, record, recordBytes)) return undefined
    if (!reserveBytes(frame, bytesMax(bytes, record))) return undefined
    const replyAt = frame.end
    const replyBytes = answer(bytes, record, frame.bytes, replyAt)
    frame.bytes.view.setUint32(replyAt + LENGTH, replyBytes, true)
    frame.bytes.view.setUint32(replyAt + ID, view.getUint32(record + ID, true), true)
    frame.end = replyAt + replyBytes
    frame.records++
    record += recordBytes
  }
  if (frameSeconds) observe(frameSeconds, SECONDS_BOUNDS, (performance.now() - begun) / 1000)
  return sealFrame(frame, view.getUint32(at + FRAME_SEQUENCE, true))
}
