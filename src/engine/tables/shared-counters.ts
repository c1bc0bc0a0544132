/**
 * Counters that many threads add to, 64 bits wide in two words. For what happens rarely, or has to
 * be counted anyway: an atomic addition costs some nanoseconds, and more while others add.
 */
export type SharedCounters = Uint32Array<SharedArrayBuffer>

export function createCounters(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * 8)
}

export function addOne(counters: SharedCounters, counter: number): void {
  const low = counter * 2
  if (Atomics.add(counters, low, 1) === 0xffff_ffff) Atomics.add(counters, low + 1, 1)
}

/** What was counted so far. While the low word wraps it may be read 2^32 short. */
export function readCounter(counters: SharedCounters, counter: number): number {
  const low = counter * 2
  return Atomics.load(counters, low + 1) * 2 ** 32 + Atomics.load(counters, low)
}
