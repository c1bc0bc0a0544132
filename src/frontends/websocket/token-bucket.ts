import type { Rate } from './limits.ts'

/** A token bucket. It is full when created. Times in seconds of a monotonic clock. */
export class TokenBucket {
  /** Tokens missing from a full bucket at #at. */
  #missing = 0
  #at = 0

  /** Takes `cost` tokens. Returns false, and takes none, when there are fewer. */
  take(cost: number, now: number, rate: Rate): boolean {
    const missing = this.missing(now, rate)
    this.#at = now
    this.#missing = missing
    // A cost above the burst is paid with the whole bucket, so that a large message is not refused
    // forever.
    if (missing + Math.min(cost, rate.burst) > rate.burst) return false
    this.#missing = missing + Math.min(cost, rate.burst)
    return true
  }

  /** Tokens missing from a full bucket; 0 when the bucket could be discarded. */
  missing(now: number, { perSecond }: Rate): number {
    return Math.max(0, this.#missing - (now - this.#at) * perSecond)
  }
}
