import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { EventsConfig } from '../config/config.ts'
import { type EventLog, eventCounts, takeEvents } from '../engine/event-log.ts'
import { ExitStatus } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { announceLine, type CreditedBatch, creditedLine, KIND_NAMES } from './event-lines.ts'
import { Outbox, type Receiver } from './outbox.ts'
import { Spool } from './spool.ts'

export type EventsOptions = {
  readonly config: EventsConfig
  /** Undefined where only credits are sent. */
  readonly eventLog: EventLog | undefined
  readonly log: Logger
}

/** How often the log of the engine is read, and how many events at a time. */
const READ_MILLIS = 100
const EVENTS_AT_ONCE = 1000

/** Maximum wait of a stop for the receivers. Lines that they do not accept go to the spool. */
const STOP_MILLIS = 5000

/** Whether any receiver is configured. */
export function hasReceivers({ webhook_url, nats_url, redis_url }: EventsConfig): boolean {
  return webhook_url !== '' || nats_url !== '' || redis_url !== ''
}

/** Announces that the event log of the engine has space for; 0 for no log. */
export function eventLogSize(config: EventsConfig): number {
  const hasAnnounces = config.kinds.some(kind => kind !== 'credited')
  return hasReceivers(config) && hasAnnounces ? config.queue : 0
}

/** Starts to send events. Undefined without receivers. */
export async function startEvents(options: EventsOptions): Promise<Events | undefined> {
  if (!hasReceivers(options.config)) return undefined
  return new Events(options, await createReceivers(options.config))
}

async function createReceivers(config: EventsConfig): Promise<Receiver[]> {
  const receivers: Receiver[] = []
  const timeoutMillis = config.timeout * 1000
  if (config.webhook_url !== '') {
    const { createWebhook } = await import('./webhook.ts')
    receivers.push(createWebhook({ url: config.webhook_url, secret: config.webhook_secret }))
  }
  if (config.nats_url !== '') {
    const { createNats } = await import('./nats.ts')
    const { nats_url: url, nats_subject: subject, nats_jetstream: jetstream } = config
    receivers.push(createNats({ url, subject, jetstream, timeoutMillis }))
  }
  if (config.redis_url !== '') {
    const { createRedis } = await import('./redis.ts')
    const { redis_url: url, redis_stream: stream, redis_length: length } = config
    receivers.push(createRedis({ url, stream, length, timeoutMillis }))
  }
  return receivers
}

/** Reads events from the engine and from the ledger, and sends them to all receivers. */
export class Events implements Part {
  readonly #options: EventsOptions
  readonly #kinds: ReadonlySet<string>
  readonly #outboxes: { readonly outbox: Outbox; readonly spool: Spool }[]
  /** Makes ids unique across restarts. */
  readonly #run = randomBytes(6).toString('hex')
  readonly #timer: NodeJS.Timeout
  #number = 0
  #reading: Promise<void> | undefined
  #userId: (number: number) => string | undefined = () => undefined

  constructor(options: EventsOptions, receivers: readonly Receiver[]) {
    this.#options = options
    this.#kinds = new Set(options.config.kinds)
    this.#outboxes = receivers.map(receiver => openOutbox(options, receiver))
    this.#timer = setInterval(() => {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
    }, READ_MILLIS)
  }

  /** Sets the function that returns the id of the user with a number. */
  setUsers(userId: (number: number) => string | undefined): void {
    this.#userId = userId
  }

  /** Sends what a batch credited to each of its users. */
  readonly credited = ({ users }: CreditedBatch): void => {
    if (!this.#kinds.has('credited')) return
    for (const user of users) this.#add(creditedLine(this.#nextId(), user))
  }

  collect(samples: Samples): void {
    for (const { outbox } of this.#outboxes) {
      const labels = { receiver: outbox.name }
      samples.add('muster_events_sent_total', outbox.sent, labels)
      samples.add('muster_events_dropped_total', outbox.dropped, labels)
      samples.add('muster_events_failures_total', outbox.failures, labels)
      samples.add('muster_events_waiting', outbox.waiting, labels)
      samples.add('muster_events_lag_seconds', outbox.lagSeconds, labels)
    }
    const { eventLog } = this.#options
    if (!eventLog) return
    const { dropped, waiting } = eventCounts(eventLog)
    samples.add('muster_events_dropped_total', dropped, { receiver: 'all' })
    samples.add('muster_events_waiting', waiting, { receiver: 'all' })
  }

  async stop(): Promise<number> {
    clearInterval(this.#timer)
    await this.#reading
    await this.#read()
    const results = await Promise.all(this.#outboxes.map(entry => this.#stopOne(entry)))
    return results.every(Boolean) ? ExitStatus.ok : ExitStatus.unavailable
  }

  /** Returns false if lines were lost. */
  async #stopOne({ outbox, spool }: { outbox: Outbox; spool: Spool }): Promise<boolean> {
    const { log } = this.#options
    const lines = await outbox.stop(STOP_MILLIS)
    try {
      spool.write(lines)
    } catch (error) {
      log.error({ err: error, receiver: outbox.name, events: lines.length }, 'events are lost')
      return false
    }
    if (lines.length > 0) {
      const file = spool.path
      log.warn(
        { receiver: outbox.name, events: lines.length, file },
        'unsent events are stored in a file until the next start',
      )
    }
    return true
  }

  /** Reads the events that the engine has recorded, with pauses for other work of this thread. */
  async #read(): Promise<void> {
    const { eventLog } = this.#options
    if (!eventLog) return
    for (;;) {
      const events = takeEvents(eventLog, EVENTS_AT_ONCE)
      for (const event of events) {
        if (!this.#kinds.has(KIND_NAMES[event.kind])) continue
        const user = event.user === 0 ? null : (this.#userId(event.user) ?? null)
        this.#add(announceLine(this.#nextId(), event, user))
      }
      if (events.length < EVENTS_AT_ONCE) return
      await setImmediate()
    }
  }

  #nextId(): string {
    return `${this.#run}-${this.#number++}`
  }

  #add(line: string): void {
    for (const { outbox } of this.#outboxes) outbox.add(line)
  }
}

function openOutbox({ config, log }: EventsOptions, receiver: Receiver) {
  const spool = new Spool(config.spool, receiver.name)
  const outbox = new Outbox({
    receiver,
    capacity: config.queue,
    batch: config.batch,
    delayMillis: config.delay * 1000,
    timeoutMillis: config.timeout * 1000,
    log,
    onSent: sent => spool.sent(sent),
  })
  for (const line of spool.read()) outbox.add(line)
  return { outbox, spool }
}
