/**
 * Token buckets of client addresses in shared memory, without a lock. A bucket is two words: the
 * hash of its owner, and the time, in milliseconds modulo 2^32, at which it will be full again (the
 * generic cell rate algorithm), so that one compare-and-swap takes a token. Sets of four buckets
 * share a cache line. An owner without a bucket in its set gets the fullest one of the set. That
 * loses nothing if the bucket is full again.
 */
const SETS = 2 ** 16
const WAYS = 4
/** Words of a set: four hashes, then four times. */
const SET_WORDS = WAYS * 2

export type RateBuckets = Int32Array<SharedArrayBuffer>

/** 262,144 buckets in 2 MiB; only used pages take memory. */
export function createRateBuckets(): SharedArrayBuffer {
  return new SharedArrayBuffer(SETS * SET_WORDS * 4)
}

/** Fill rate and size of a bucket. The product of both is below 2^31. */
export type Rate = {
  /** Milliseconds per token. */
  readonly period: number
  /** Tokens of a full bucket. */
  readonly burst: number
}

/**
 * Milliseconds until a bucket is full. A larger value than that of an empty bucket is from before
 * the clock's last wrap.
 */
function millisToFull(moment: number, now: number, window: number): number {
  const millis = (moment - now) | 0
  return millis > 0 && millis <= window ? millis : 0
}

/**
 * Takes a token from the bucket of this hash. Returns false when it is empty.
 *
 * The bucket of an honest client is rarely less than half full. The token is then taken without an
 * atomic operation, which would make the processor wait for the cache line before it looks up the
 * torrent. Two threads at once may take one such token together. Below half full, each token is
 * taken once.
 */
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
    const moment = buckets[at]!
    const millis = millisToFull(moment, now, window)
    if (millis > window - period) return false
    const later = (now + millis + period) | 0
    if (millis < window >> 1) {
      buckets[at] = later
      return true
    }
    if (Atomics.compareExchange(buckets, at, moment, later) === moment) return true
  }
}

/** Word of the time of the bucket of this hash, which may replace another owner's. */
function bucketOf(buckets: RateBuckets, hash: number, now: number, window: number): number {
  const tag = hash || 1
  const set = (hash & (SETS - 1)) * SET_WORDS
  for (let at = set; at < set + WAYS; at++) if (buckets[at] === tag) return at + WAYS
  return replaceBucket(buckets, set, tag, now, window)
}

/** Gives the fullest bucket of a set to a new owner, unless another thread did so meanwhile. */
function replaceBucket(
  buckets: RateBuckets,
  set: number,
  tag: number,
  now: number,
  window: number,
): number {
  for (;;) {
    let fullest = set
    let least = window + 1
    for (let at = set; at < set + WAYS; at++) {
      // The time is read first: if another thread gives the bucket to the same owner in between,
      // the hash shows that.
      const millis = millisToFull(Atomics.load(buckets, at + WAYS), now, window)
      if (Atomics.load(buckets, at) === tag) return at + WAYS
      if (millis < least) {
        least = millis
        fullest = at
      }
    }
    const owner = Atomics.load(buckets, fullest)
    if (Atomics.compareExchange(buckets, fullest, owner, tag) !== owner) continue
    // A full bucket stays as it is: another thread may be taking the newcomer's first token
    // already.
    if (least > 0) Atomics.store(buckets, fullest + WAYS, now)
    return fullest + WAYS
  }
}
