/**
 * A histogram that one thread writes and others may read: the sum of the observed values, then the
 * number of observations within each bound and above the previous one, and last the number above
 * all bounds. Whole numbers in doubles do not wrap before 2^53.
 */
export type Histogram = Float64Array

/** Bounds in seconds, three to a decade. */
export const SECONDS_BOUNDS = [
  0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
  0.2, 0.5, 1, 2, 5,
] as const

/** Bounds for the size of a group. */
export const COUNT_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] as const

/** Length of a histogram with these bounds. */
export function histogramLength(bounds: readonly number[]): number {
  return bounds.length + 2
}

/** Records `times` observations of `value`. */
export function observe(
  histogram: Histogram,
  bounds: readonly number[],
  value: number,
  times = 1,
): void {
  let bucket = 0
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
  histogram[0] = (histogram[0] as number) + value * times
  histogram[bucket + 1] = (histogram[bucket + 1] as number) + times
}

/** Adds the values of `counts` to those of `sum`; both are histograms or counters of one layout. */
export function addCounts(sum: Float64Array, counts: Float64Array): void {
  for (let n = 0; n < sum.length; n++) sum[n] = (sum[n] as number) + (counts[n] as number)
}
