/** The part of a logger that reports refusals. */
export type WarnLog = { warn(fields: object, message: string): void }

/** Seconds in which each kind of refusal is logged at most once. */
const SECONDS_PER_LINE = 60

/** Logs refusals of clients at a bounded rate: one line per message and minute. */
export class RefusalLog {
  readonly #log: WarnLog
  readonly #now: () => number
  readonly #lines = new Map<string, { quietUntil: number; suppressed: number }>()

  /** `now` returns seconds of a monotonic clock. */
  constructor(log: WarnLog, now: () => number) {
    this.#log = log
    this.#now = now
  }

  /**
   * `message` must be one of a fixed set. `suppressed` in the line counts those not logged before.
   */
  report(message: string, fields: object): void {
    const now = this.#now()
    const line = this.#lines.get(message)
    if (line && now < line.quietUntil) {
      line.suppressed++
      return
    }
    this.#lines.set(message, { quietUntil: now + SECONDS_PER_LINE, suppressed: 0 })
    this.#log.warn({ ...fields, suppressed: line?.suppressed ?? 0 }, message)
  }
}
