/**
 * 64-bit counters in two words that many threads add to. They are for rare events and for what must
 * be counted anyway: an atomic addition takes some nanoseconds, and more under contention.
 */
export type SharedCounters = Uint32Array<SharedArrayBuffer>

export function createCounters(count: number): SharedArrayBuffer {
  return new SharedArrayBuffer(count * 8)
}

export function addOne(counters: SharedCounters, counter: number): void {
  const low = counter * 2
  if (Atomics.add(counters, low, 1) === 0xffff_ffff) Atomics.add(counters, low + 1, 1)
}

/** Current value. It may be 2^32 too low while the low word wraps. */
export function readCounter(counters: SharedCounters, counter: number): number {
  const low = counter * 2
  return Atomics.load(counters, low + 1) * 2 ** 32 + Atomics.load(counters, low)
}
