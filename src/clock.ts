/**
 * Unix time from the monotonic clock: it runs on evenly when somebody sets the system's clock, so that a jump expires no peer. All threads and
 * processes of a tracker share the offset, and so agree.
 */
export function createClockOffset(): number {
  return Date.now() / 1000 - monotonicSeconds()
}

/** Seconds since 1970, whole. */
export function unixSeconds(clockOffset: number): number {
  return Math.floor(monotonicSeconds() + clockOffset)
}

function monotonicSeconds(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds + nanoseconds / 1e9
}
