/**
 * xorshift32 (Marsaglia 2003): fast and even, which is enough for picking peers. It is not secure.
 */
export type Random = { state: number }

/** Creates a generator. Every seed is valid. */
export function createRandom(seed: number): Random {
  return { state: seed | 0 || 1 }
}

/** A whole number from 0 to `bound` - 1. */
export function randomBelow(random: Random, bound: number): number {
  let x = random.state
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  random.state = x
  return Math.floor(((x >>> 0) / 0x1_0000_0000) * bound)
}
