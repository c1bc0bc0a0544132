import { type Histogram, histogramLength, SECONDS_BOUNDS } from './histogram.ts'

/** Counters of an engine thread. */
export const EngineCounter = {
  /** Seconds spent on the sweep. */
  sweepBusy: 0,
  /**
   * Duration of the last pass over the thread's stripes in seconds, and its end in Unix seconds; 0
   * before the first.
   */
  sweepPass: 1,
  sweepEnded: 2,
} as const
export type EngineCounter = (typeof EngineCounter)[keyof typeof EngineCounter]

const FRAME_AT = Object.keys(EngineCounter).length

/** Counters of one engine thread in shared memory: the thread writes, the main thread reads. */
export type EngineCounters = Float64Array<SharedArrayBuffer>

export function createEngineCounters(): EngineCounters {
  return new Float64Array(new SharedArrayBuffer((FRAME_AT + histogramLength(SECONDS_BOUNDS)) * 8))
}

/** Histogram of the time to answer a frame. */
export function frameSeconds(counters: EngineCounters): Histogram {
  return counters.subarray(FRAME_AT)
}
