import { type Histogram, histogramLength, SECONDS_BOUNDS } from './histogram.ts'

/** What an engine thread counts. */
export const EngineCounter = {
  /** Seconds that its sweep held it up. */
  sweepBusy: 0,
  /** How long the last whole pass over its stripes took, in seconds, and when it ended, in Unix seconds; 0 before the first. */
  sweepPass: 1,
  sweepEnded: 2,
} as const
export type EngineCounter = (typeof EngineCounter)[keyof typeof EngineCounter]

const FRAME_AT = Object.keys(EngineCounter).length

/** Of one engine thread, in memory that the main thread reads while it counts. */
export type EngineCounters = Float64Array<SharedArrayBuffer>

export function createEngineCounters(): EngineCounters {
  return new Float64Array(new SharedArrayBuffer((FRAME_AT + histogramLength(SECONDS_BOUNDS)) * 8))
}

/** How long the frames took to answer. */
export function frameSeconds(counters: EngineCounters): Histogram {
  return counters.subarray(FRAME_AT)
}
