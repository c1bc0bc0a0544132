/**
 * Token buckets of strangers in shared memory, taken from without a lock. A bucket is two words,
 * the hash of who it belongs to and the moment, in milliseconds modulo 2^32, at which it will be
 * full again (the generic cell rate algorithm): one compare-and-swap takes a token. Sets of four
 * buckets share a cache line. Who finds no bucket in its set gets the fullest one; of a bucket that
 * is full again nothing is lost by that.
 */
const SETS = 2 ** 16
const WAYS = 4
/** Words of a set: four hashes, then four moments. */
const SET_WORDS = WAYS * 2

export type RateBuckets = Int32Array<SharedArrayBuffer>

/** 262,144 buckets, 2 MiB, of which only what is used becomes memory. */
export function createRateBuckets(): SharedArrayBuffer {
  return new SharedArrayBuffer(SETS * SET_WORDS * 4)
}

/** How fast a bucket fills, and what it holds. Their product is below 2^31. */
export type Rate = {
  /** Milliseconds in which a token comes back. */
  readonly period: number
  /** Tokens of a full bucket. */
  readonly burst: number
}

/**
 * Milliseconds until a bucket is full. What claims more than an empty one takes is from before the
 * clock's last wrap.
 */
function millisToFull(moment: number, now: number, window: number): number {
  const millis = (moment - now) | 0
  return millis > 0 && millis <= window ? millis : 0
}

/** Takes a token from the bucket of whose hash this is; false when it is empty. */
export function takeToken(
  buckets: RateBuckets,
  hash: number,
  nowSeconds: number,
  { burst, period }: Rate,
): boolean {
  const now = (nowSeconds * 1000) | 0
  const window = burst * period
  const at = bucketOf(buckets, hash, now, window)
  for (;;) {
    const moment = Atomics.load(buckets, at)
    const millis = millisToFull(moment, now, window)
    if (millis > window - period) return false
    const later = (now + millis + period) | 0
    if (Atomics.compareExchange(buckets, at, moment, later) === moment) return true
  }
}

/** Word of the moment of the bucket with this hash, which may be another's that is displaced. */
function bucketOf(buckets: RateBuckets, hash: number, now: number, window: number): number {
  const tag = hash || 1
  const set = (hash & (SETS - 1)) * SET_WORDS
  for (;;) {
    let fullest = set
    let least = window + 1
    for (let at = set; at < set + WAYS; at++) {
      // The moment first: if another thread gives the bucket to the same stranger in between, the
      // hash shows it.
      const millis = millisToFull(Atomics.load(buckets, at + WAYS), now, window)
      if (Atomics.load(buckets, at) === tag) return at + WAYS
      if (millis < least) {
        least = millis
        fullest = at
      }
    }
    const owner = Atomics.load(buckets, fullest)
    if (Atomics.compareExchange(buckets, fullest, owner, tag) !== owner) continue
    // A full one stays as it is: another thread may be taking the newcomer's first token already.
    if (least > 0) Atomics.store(buckets, fullest + WAYS, now)
    return fullest + WAYS
  }
}
