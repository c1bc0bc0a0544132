/**
 * Token buckets of client addresses in shared memory, without a lock. The state of a bucket is the
 * time, in milliseconds modulo 2^32, at which it will be full again (the generic cell rate
 * algorithm), so that one compare-and-swap takes a token.
 *
 * A quarter of an address's tokens come from the bucket of its group, the rest from its own bucket.
 * The addresses of a group share its bucket by their hash. It counts every token that one of them
 * gets, up to the number of a full burst. While it owes less than a quarter of a burst, none of its
 * addresses owes more, and their own buckets are neither read nor written. An announce of an honest
 * client thus touches a table of 32 KiB, which stays in the processor's cache.
 *
 * No order of announces gives an address more than its burst and its rate: all tokens up to the
 * last one from the group are counted there, and later ones in the address's own bucket. An address
 * in a busy group gets at least its rate, and a burst of three quarters.
 */
const GROUP_BITS = 13
const GROUPS = 2 ** GROUP_BITS

/**
 * The own buckets are two words each: the hash of the owner, and the time. Sets of four buckets
 * share a cache line. An owner without a bucket in its set gets the fullest one of the set. That
 * loses nothing if the bucket is full again.
 */
const SETS = 2 ** 16
const WAYS = 4
/** Words of a set: four hashes, then four times. */
const SET_WORDS = WAYS * 2

export type RateBuckets = Int32Array<SharedArrayBuffer>

/** The groups, and 262,144 own buckets in 2 MiB; only used pages take memory. */
export function createRateBuckets(): SharedArrayBuffer {
  return new SharedArrayBuffer((GROUPS + SETS * SET_WORDS) * 4)
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

/** Milliseconds until the bucket of a group is full. 0 is a group that was never used. */
function groupMillis(moment: number, now: number, window: number): number {
  return moment === 0 ? 0 : millisToFull(moment, now, window)
}

/**
 * Takes a token for the address of this hash. Returns false when there is none.
 *
 * A group that owes little counts the token without an atomic operation, which would make the
 * processor wait for the cache line before it looks up the torrent. Two threads at once may take
 * one such token together. Every other token is taken once.
 */
export function takeToken(
  buckets: RateBuckets,
  hash: number,
  nowSeconds: number,
  { burst, period }: Rate,
): boolean {
  const now = (nowSeconds * 1000) | 0
  const window = burst * period
  const shared = (burst >> 2) * period
  const group = hash >>> (32 - GROUP_BITS)
  const millis = groupMillis(buckets[group]!, now, window) + period
  if (millis <= shared) {
    buckets[group] = (now + millis) | 0 || 1
    return true
  }
  if (!takeOwnToken(buckets, hash, now, window - shared, period)) return false
  countInGroup(buckets, group, now, window, period)
  return true
}

/** Takes a token from the own bucket of this hash. Returns false when it is empty. */
function takeOwnToken(
  buckets: RateBuckets,
  hash: number,
  now: number,
  window: number,
  period: number,
): boolean {
  const at = bucketOf(buckets, hash, now, window)
  for (;;) {
    const moment = Atomics.load(buckets, at)
    const millis = millisToFull(moment, now, window)
    if (millis > window - period) return false
    const later = (now + millis + period) | 0
    if (Atomics.compareExchange(buckets, at, moment, later) === moment) return true
  }
}

/** Counts a token of an own bucket in the bucket of the group, which then owes a burst at most. */
function countInGroup(
  buckets: RateBuckets,
  group: number,
  now: number,
  window: number,
  period: number,
): void {
  for (;;) {
    const moment = Atomics.load(buckets, group)
    const millis = Math.min(window, groupMillis(moment, now, window) + period)
    const later = (now + millis) | 0 || 1
    if (Atomics.compareExchange(buckets, group, moment, later) === moment) return
  }
}

/** Word of the time of the bucket of this hash, which may replace another owner's. */
function bucketOf(buckets: RateBuckets, hash: number, now: number, window: number): number {
  const tag = hash || 1
  const set = GROUPS + (hash & (SETS - 1)) * SET_WORDS
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
