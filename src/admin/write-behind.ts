import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../log.ts'

/** Longest wait between two tries while the database is away, in milliseconds. */
const RETRY_MILLIS_MAX = 60_000
const RETRY_MILLIS_MIN = 1000

export type WriteBehind = {
  /** Whether the last try succeeded. */
  readonly healthy: boolean
  /** Tries that failed since the start. */
  readonly failures: number
  /** Unix seconds of the last success; 0 before the first. */
  readonly writtenSeconds: number
  /** Successful tries since the start, the rows that they wrote, and the seconds that all tries took. */
  readonly writes: number
  readonly rows: number
  readonly busySeconds: number
  /** Writes what is left, once, and ends. */
  stop(): Promise<void>
}

/**
 * Calls each of `flushes` every `intervalSeconds()`, and sooner again after a failure. What could not be written stays noted where it was
 * counted, so nothing is queued and nothing grows. The log tells once that the database is away, and once that it is back.
 */
export function startWriteBehind(
  flushes: readonly (() => Promise<number>)[],
  intervalSeconds: () => number,
  nowSeconds: () => number,
  log: Logger,
): WriteBehind {
  const ending = new AbortController()
  let healthy = true
  let failures = 0
  let writtenSeconds = 0
  let writes = 0
  let allRows = 0
  let busySeconds = 0

  async function flush(): Promise<void> {
    const begun = performance.now()
    try {
      let rows = 0
      for (const each of flushes) rows += await each()
      if (rows > 0) log.debug({ rows }, 'counters written')
      if (!healthy) log.info('database is reachable again')
      healthy = true
      writes++
      allRows += rows
      writtenSeconds = nowSeconds()
    } catch (error) {
      failures++
      if (healthy)
        log.error({ err: error }, 'cannot write counters to the database; will keep retrying')
      healthy = false
    } finally {
      busySeconds += (performance.now() - begun) / 1000
    }
  }

  const wait = (millis: number) =>
    sleep(millis, undefined, { signal: ending.signal }).catch(() => {})

  async function run(): Promise<void> {
    let retryMillis = RETRY_MILLIS_MIN
    while (!ending.signal.aborted) {
      await wait(healthy ? intervalSeconds() * 1000 : retryMillis)
      await flush()
      retryMillis = healthy ? RETRY_MILLIS_MIN : Math.min(retryMillis * 2, RETRY_MILLIS_MAX)
    }
  }

  // The loop's last turn comes after the signal, and writes what is left.
  const running = run()
  return {
    get healthy() {
      return healthy
    },
    get failures() {
      return failures
    },
    get writtenSeconds() {
      return writtenSeconds
    },
    get writes() {
      return writes
    },
    get rows() {
      return allRows
    },
    get busySeconds() {
      return busySeconds
    },
    async stop() {
      ending.abort()
      await running
      if (!healthy) log.error('counters since the last write are lost: the database is unreachable')
    },
  }
}
