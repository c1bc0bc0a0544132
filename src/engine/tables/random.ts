/**
 * xorshift32 (Marsaglia 2003): quick and even, which is all that picking peers asks for; nothing
 * secret hangs on it.
 */
export type Random = { state: number }

/** Any seed will do. */
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
