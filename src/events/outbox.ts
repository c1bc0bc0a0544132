import type { Logger } from '../log.ts'
import { LineQueue } from './line-queue.ts'

/** Where events are sent. */
export type Receiver = {
  readonly name: 'webhook' | 'nats' | 'redis'
  /**
   * Resolves once the receiver has all lines, and rejects if it may not have them. The signal
   * aborts it.
   */
  send(lines: readonly string[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export type OutboxOptions = {
  readonly receiver: Receiver
  /** Maximum number of lines that wait. */
  readonly capacity: number
  readonly batch: number
  readonly delayMillis: number
  readonly timeoutMillis: number
  readonly log: Logger
  /** Called with the number of lines that were sent since the start. */
  readonly onSent?: (sent: number) => void
}

/** The pause after the first failure, and the longest; each is chosen at random up to twice it. */
const BACKOFF_MILLIS = 500
const BACKOFF_MILLIS_MAX = 30_000

/**
 * Sends lines to a receiver in order, in batches. A batch that fails is sent again, unchanged,
 * until it succeeds: each line arrives at least once. Only `add` can drop lines, when too many
 * wait.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #queue: LineQueue
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>
  #wake = () => {}
  #isStopping = false
  #failuresInRow = 0
  sent = 0
  dropped = 0
  failures = 0

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#queue = new LineQueue(options.capacity)
    this.#running = this.#run()
  }

  get name(): string {
    return this.#options.receiver.name
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** Seconds that the oldest line has waited. */
  get lagSeconds(): number {
    const { oldest } = this.#queue
    return oldest === undefined ? 0 : (performance.now() - oldest) / 1000
  }

  add(line: string): void {
    if (!this.#queue.add(line, performance.now())) this.dropped++
    else if (this.#queue.length === 1 || this.#queue.length === this.#options.batch) this.#wake()
  }

  /** Sends what waits, for at most this long. Returns the lines that may not have arrived. */
  async stop(millis: number): Promise<string[]> {
    this.#isStopping = true
    this.#wake()
    const timer = setTimeout(() => {
      this.#stopped.abort()
      this.#wake()
    }, millis)
    await this.#running
    clearTimeout(timer)
    await this.#options.receiver.close().catch(() => undefined)
    return this.#queue.first(Number.POSITIVE_INFINITY)
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const lines = await this.#nextBatch()
      if (!lines) return
      if (!(await this.#send(lines))) continue
      this.#queue.remove(lines.length)
      this.sent += lines.length
      this.#options.onSent?.(this.sent)
    }
  }

  /** Waits for lines, and for more to be sent with them. Undefined once stopped without lines. */
  async #nextBatch(): Promise<string[] | undefined> {
    const { batch, delayMillis } = this.#options
    while (this.#queue.length === 0) {
      if (this.#isStopping) return undefined
      await this.#sleep()
    }
    const until = (this.#queue.oldest ?? 0) + delayMillis
    while (!this.#isStopping && this.#queue.length < batch && performance.now() < until) {
      await this.#sleep(until - performance.now())
    }
    return this.#queue.first(batch)
  }

  /** Sends a batch until it arrives. Returns false if it was stopped before. */
  async #send(lines: readonly string[]): Promise<boolean> {
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#attempt(lines)
        this.#succeeded()
        return true
      } catch (error) {
        if (this.#stopped.signal.aborted) return false
        this.#failed(error)
        await this.#pause()
      }
    }
    return false
  }

  /** One attempt, for at most the timeout, whether or not the receiver heeds the signal. */
  async #attempt(lines: readonly string[]): Promise<void> {
    const { receiver, timeoutMillis } = this.#options
    // Not AbortSignal.any with AbortSignal.timeout: Node may collect the latter before it fires.
    const attempt = new AbortController()
    const stop = () => attempt.abort(this.#stopped.signal.reason)
    const expire = () => attempt.abort(new Error(`no answer within ${timeoutMillis / 1000} s`))
    this.#stopped.signal.addEventListener('abort', stop, { once: true })
    const timer = setTimeout(expire, timeoutMillis)
    try {
      await Promise.race([receiver.send(lines, attempt.signal), whenAborted(attempt.signal)])
    } finally {
      clearTimeout(timer)
      this.#stopped.signal.removeEventListener('abort', stop)
    }
  }

  #failed(error: unknown): void {
    const { log, receiver } = this.#options
    this.failures++
    if (this.#failuresInRow++ > 0) return
    const reason = error instanceof Error ? error.message : String(error)
    log.warn({ receiver: receiver.name, reason }, 'events cannot be sent; will keep retrying')
  }

  #succeeded(): void {
    const { log, receiver } = this.#options
    if (this.#failuresInRow > 0) log.info({ receiver: receiver.name }, 'events are sent again')
    this.#failuresInRow = 0
  }

  async #pause(): Promise<void> {
    const millis = Math.min(BACKOFF_MILLIS * 2 ** (this.#failuresInRow - 1), BACKOFF_MILLIS_MAX)
    const until = performance.now() + millis * (1 + Math.random())
    while (!this.#stopped.signal.aborted && performance.now() < until) {
      await this.#sleep(until - performance.now())
    }
  }

  /** Resolves after so many milliseconds, or when something changes. */
  #sleep(millis?: number): Promise<void> {
    return new Promise(resolve => {
      const timer = millis === undefined ? undefined : setTimeout(() => this.#wake(), millis)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = () => {}
        resolve()
      }
    })
  }
}

/** Rejects with the signal's reason. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
