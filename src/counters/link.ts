import { COUNT_BOUNDS, type Histogram, histogramLength, SECONDS_BOUNDS } from './histogram.ts'

/** Counters of the frontend side of a link. */
export const LinkCounter = {
  /** Frames sent. */
  frames: 0,
  /** Records in these frames. */
  records: 1,
  /** Requests that failed because the link broke. */
  failed: 2,
} as const
export type LinkCounter = (typeof LinkCounter)[keyof typeof LinkCounter]

/** The two histograms follow the counters. */
const FRAME_RECORDS_AT = Object.keys(LinkCounter).length
const WAIT_AT = FRAME_RECORDS_AT + histogramLength(COUNT_BOUNDS)
const LENGTH = WAIT_AT + histogramLength(SECONDS_BOUNDS)

/** Integers in doubles, which stay exact up to 2^53: the counters, then the histograms. */
export type LinkCounters = Float64Array<ArrayBuffer>

export function createLinkCounters(): LinkCounters {
  return new Float64Array(LENGTH)
}

export function countLink(counters: LinkCounters, counter: LinkCounter, amount: number): void {
  counters[counter] = (counters[counter] as number) + amount
}

/** Histogram of records per frame. */
export function frameRecords(counters: LinkCounters): Histogram {
  return counters.subarray(FRAME_RECORDS_AT, WAIT_AT)
}

/**
 * Histogram of seconds from when the first request of a frame was submitted until the replies to
 * all its requests arrived. It takes two clock reads per frame, however many requests share it.
 */
export function waitSeconds(counters: LinkCounters): Histogram {
  return counters.subarray(WAIT_AT, LENGTH)
}
