import { COUNT_BOUNDS, type Histogram, histogramLength, SECONDS_BOUNDS } from './histogram.ts'

/** What the asking side of a link counts. */
export const LinkCounter = {
  /** Frames sent, and records in them. */
  frames: 0,
  records: 1,
  /** Requests that were failed because the link broke. */
  failed: 2,
} as const
export type LinkCounter = (typeof LinkCounter)[keyof typeof LinkCounter]

const FRAME_RECORDS_AT = Object.keys(LinkCounter).length
const WAIT_AT = FRAME_RECORDS_AT + histogramLength(COUNT_BOUNDS)

/** Whole numbers in doubles, which do not wrap before 2^53; behind the counters the histograms. */
export type LinkCounters = Float64Array<ArrayBuffer>

export function createLinkCounters(): LinkCounters {
  return new Float64Array(WAIT_AT + histogramLength(SECONDS_BOUNDS))
}

export function countLink(counters: LinkCounters, counter: LinkCounter, amount: number): void {
  counters[counter] = (counters[counter] as number) + amount
}

/** How many records the frames have. */
export function frameRecords(counters: LinkCounters): Histogram {
  return counters.subarray(FRAME_RECORDS_AT, WAIT_AT)
}

/**
 * How long requests wait for their answer, from when the first of a frame was submitted until the answers to all of it came. It costs two looks
 * at the clock a frame, however many requests share it.
 */
export function waitSeconds(counters: LinkCounters): Histogram {
  return counters.subarray(WAIT_AT)
}
