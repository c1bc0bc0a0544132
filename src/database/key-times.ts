/** From here on, a number is a Unix time: as a lifetime it would be over 31 years. */
const END_MIN = 1_000_000_000

/** The largest lifetime that the columns of Torrust-Actix have space for. */
const LIFETIME_MAX = 2 ** 31 - 1

/** Lifetime in seconds from `now` on, for Torrust-Actix; 0 for a key that never expires. */
export function lifetimeOf(end: number, now: number): number {
  return end === 0 ? 0 : Math.min(Math.max(end - now, 1), LIFETIME_MAX)
}

/**
 * The Unix second at which a key ends, from a number of Torrust-Actix: a lifetime that starts
 * `now`, or from END_MIN on the end itself, as earlier versions of muster and its own exports have
 * it. 0 means never.
 */
export function endOf(timeout: number, now: number): number {
  return timeout === 0 || timeout >= END_MIN ? timeout : now + timeout
}

export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
