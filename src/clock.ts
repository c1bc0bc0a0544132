/**
 * Offset in seconds that turns the monotonic clock into Unix time. The monotonic clock runs evenly
 * when the system clock is set, so that a jump expires no peers. All threads and processes share
 * the offset.
 */
export function createClockOffset(): number {
  return Date.now() / 1000 - monotonicSeconds()
}

/** Whole seconds since 1970. */
export function unixSeconds(clockOffset: number): number {
  return Math.floor(monotonicSeconds() + clockOffset)
}

function monotonicSeconds(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds + nanoseconds / 1e9
}
