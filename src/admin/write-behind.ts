import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../log.ts'

/** Range of the wait between two attempts while the database is unreachable, in milliseconds. */
const RETRY_MILLIS_MAX = 60_000
const RETRY_MILLIS_MIN = 1000

export type FlushStats = {
  /** Whether the last attempt succeeded. */
  readonly healthy: boolean
  /** Failed attempts since the start. */
  readonly failures: number
  /** Unix seconds of the last success; 0 before the first. */
  readonly writtenSeconds: number
  /** Successful attempts since the start, their rows, and the seconds that all attempts took. */
  readonly writes: number
  readonly rows: number
  readonly busySeconds: number
}

/**
 * Writes counters to the database periodically, and sooner again after a failure. Counters that
 * were not written stay marked in the tables, so nothing is queued and nothing grows.
 */
export class WriteBehind implements FlushStats {
  readonly #flushes: readonly (() => Promise<number>)[]
  readonly #intervalSeconds: () => number
  readonly #nowSeconds: () => number
  readonly #log: Logger
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  readonly #ping: () => Promise<void>
  #flushing: Promise<void> = Promise.resolve()
  /** Whether the last attempt left counters unwritten. */
  #unwritten = false
  healthy = true
  failures = 0
  writtenSeconds = 0
  writes = 0
  rows = 0
  busySeconds = 0

  /**
   * Each of `flushes` returns the number of rows that it wrote. A failure of one does not stop the
   * others. `ping` checks that the database answers when there was nothing to write.
   */
  constructor(
    flushes: readonly (() => Promise<number>)[],
    ping: () => Promise<void>,
    intervalSeconds: () => number,
    nowSeconds: () => number,
    log: Logger,
  ) {
    this.#flushes = flushes
    this.#ping = ping
    this.#intervalSeconds = intervalSeconds
    this.#nowSeconds = nowSeconds
    this.#log = log
    this.#running = this.#run()
  }

  /** Writes now, after a write that is in progress. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush())
    return this.#flushing
  }

  /** Writes once more and ends. Resolves to whether everything is written. */
  async stop(): Promise<boolean> {
    this.#ending.abort()
    await this.#running
    if (this.#unwritten) {
      this.#log.error(
        { last_write_s: this.writtenSeconds },
        'counters since the last write are lost: cannot write to the database',
      )
    }
    return !this.#unwritten
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    let retryMillis = RETRY_MILLIS_MIN
    // The last round follows the signal and writes the rest.
    while (!signal.aborted) {
      const millis = this.healthy ? this.#intervalSeconds() * 1000 : retryMillis
      await sleep(millis, undefined, { signal }).catch(() => {})
      await this.flush()
      retryMillis = this.healthy ? RETRY_MILLIS_MIN : Math.min(retryMillis * 2, RETRY_MILLIS_MAX)
    }
  }

  async #flush(): Promise<void> {
    const begun = performance.now()
    const errors: unknown[] = []
    let rows = 0
    this.#unwritten = false
    for (const write of this.#flushes) {
      try {
        rows += await write()
      } catch (error) {
        errors.push(error)
        this.#unwritten = true
      }
    }
    if (rows === 0 && errors.length === 0) {
      await this.#ping().catch((error: unknown) => errors.push(error))
    }
    this.busySeconds += (performance.now() - begun) / 1000
    this.rows += rows
    if (rows > 0) this.#log.debug({ rows }, 'counters written')
    if (errors.length > 0) return this.#failed(errors[0])
    if (!this.healthy) this.#log.info('database is reachable again')
    this.healthy = true
    this.writes++
    this.writtenSeconds = this.#nowSeconds()
  }

  #failed(error: unknown): void {
    this.failures++
    if (this.healthy) {
      this.#log.error({ err: error }, 'cannot write counters to the database; will keep retrying')
    }
    this.healthy = false
  }
}
