import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Part } from '../lifecycle.ts'
import {
  type Attributes,
  type ErrorRecord,
  otlpLogs,
  otlpTraces,
  type Source,
  type Span,
} from './otlp.ts'

/** Milliseconds between exports. */
const EXPORT_MILLIS = 5000
/** Time for one export, in milliseconds. */
const TIMEOUT_MILLIS = 5000
/** Maximum number of spans and errors that wait for an export; further ones are dropped. */
const WAITING_MAX = 2048

export type ExporterOptions = Source & {
  /** URL of the collector, without the path of a signal. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** Called once when exports begin to fail, and once when they succeed again. */
  onChange(isReachable: boolean, reason: string): void
}

/**
 * Sends spans and errors to an OpenTelemetry collector: OTLP over HTTP, in JSON. No other work
 * waits for it. Entries that exceed the queue while the collector is unreachable are dropped.
 */
export class Exporter implements Part {
  readonly #options: ExporterOptions
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  #spans: Span[] = []
  #errors: ErrorRecord[] = []
  #isReachable = true

  constructor(options: ExporterOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Runs `work` as a span. */
  async trace<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
    const start = Date.now()
    let error: string | undefined
    try {
      return await work()
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown)
      throw thrown
    } finally {
      const ids = {
        traceId: randomBytes(16).toString('hex'),
        spanId: randomBytes(8).toString('hex'),
      }
      if (this.#spans.length < WAITING_MAX) {
        this.#spans.push({ ...ids, name, start, end: Date.now(), attributes, error })
      }
    }
  }

  error(message: string, attributes: Attributes): void {
    if (this.#errors.length >= WAITING_MAX) return
    this.#errors.push({ time: Date.now(), message, attributes })
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await sleep(EXPORT_MILLIS, undefined, { signal }).catch(() => undefined)
      const [spans, errors] = [this.#spans, this.#errors]
      this.#spans = []
      this.#errors = []
      if (spans.length > 0) await this.#send('traces', otlpTraces(this.#options, spans))
      if (errors.length > 0) await this.#send('logs', otlpLogs(this.#options, errors))
    }
  }

  async #send(what: 'traces' | 'logs', body: object): Promise<void> {
    let reason = ''
    try {
      const { headers, endpoint } = this.#options
      const answer = await fetch(`${endpoint.replace(/\/$/, '')}/v1/${what}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MILLIS),
      })
      await answer.arrayBuffer()
      if (!answer.ok) reason = `status ${answer.status}`
    } catch (error) {
      reason = (error as Error).message
    }
    const isReachable = reason === ''
    if (isReachable !== this.#isReachable) this.#options.onChange(isReachable, reason)
    this.#isReachable = isReachable
  }
}
