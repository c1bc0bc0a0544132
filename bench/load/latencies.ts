/** Buckets per octave. A quantile is accurate to 4 %. */
const BUCKETS_PER_OCTAVE = 16
const OCTAVES = 34
const NANOS_PER_MILLI = 1e6

/** A histogram of latencies from one nanosecond to some seconds. */
export type Latencies = {
  add(millis: number): void
  /** The quantile of `share`, from 0 to 1, in milliseconds. */
  quantile(share: number): number
}

/** `counts` may be shared between threads if only one of them adds. */
export function createLatencies(
  counts: Uint32Array<ArrayBuffer | SharedArrayBuffer> = new Uint32Array(latencyBuckets()),
): Latencies {
  return {
    add(millis) {
      const octave = Math.log2(Math.max(1, millis * NANOS_PER_MILLI))
      const bucket = Math.min(counts.length - 1, Math.floor(octave * BUCKETS_PER_OCTAVE))
      counts[bucket] = (counts[bucket] as number) + 1
    },
    quantile(share) {
      let left = counts.reduce((sum, count) => sum + count, 0) * share
      for (const [bucket, count] of counts.entries()) {
        left -= count
        if (left <= 0 && count > 0)
          return 2 ** ((bucket + 1) / BUCKETS_PER_OCTAVE) / NANOS_PER_MILLI
      }
      return Number.NaN
    },
  }
}

export function latencyBuckets(): number {
  return BUCKETS_PER_OCTAVE * OCTAVES
}
