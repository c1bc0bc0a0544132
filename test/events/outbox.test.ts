import { createHmac } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { Outbox, type OutboxOptions, type Receiver } from '../../src/events/outbox.ts'
import { createWebhook } from '../../src/events/webhook.ts'
import { WebhookReceiver } from './fixtures/receiver.ts'

const log = pino({ level: 'silent' })
const SECRET = 'a secret of the site'

function open(t: Test, receiver: Receiver, more: Partial<OutboxOptions> = {}): Outbox {
  const outbox = new Outbox({
    receiver,
    capacity: 1000,
    batch: 10,
    delayMillis: 5,
    timeoutMillis: 200,
    log,
    ...more,
  })
  t.teardown(() => outbox.stop(0))
  return outbox
}

const line = (n: number) => JSON.stringify({ id: `run-${n}`, n })

t.test('a receiver that fails in every way has each event at least once, in order', async t => {
  const receiver = new WebhookReceiver()
  await receiver.start(t)
  const outbox = open(t, createWebhook({ url: receiver.url, secret: SECRET }))
  let n = 0
  for (const mode of ['refuse', 'hang', 'reset', 'reset after reading'] as const) {
    receiver.mode = mode
    const failures = outbox.failures
    for (const end = n + 25; n < end; n++) outbox.add(line(n))
    while (outbox.failures === failures) await new Promise(resolve => setTimeout(resolve, 20))
    t.ok(outbox.waiting >= 25, `${mode}: nothing is lost`)
    t.ok(outbox.lagSeconds > 0)
    receiver.mode = 'accept'
    await receiver.until(() => receiver.events.length >= n)
  }
  receiver.stop()
  for (const end = n + 25; n < end; n++) outbox.add(line(n))
  await new Promise(resolve => setTimeout(resolve, 50))
  await receiver.start(t)
  // Events that arrived twice are counted twice, so the count does not show that all arrived.
  while (outbox.waiting > 0) await new Promise(resolve => setTimeout(resolve, 5))

  const seen = receiver.events.map(event => event['n'] as number)
  t.same(
    [...new Set(seen)],
    Array.from({ length: n }, (_, number) => number),
  )
  t.match(outbox, { sent: n, dropped: 0, lagSeconds: 0 })
  for (const { headers, body } of receiver.batches) {
    const [, time = '', digest] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-muster-signature'])) ?? []
    t.equal(digest, createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'))
    t.equal(headers['content-type'], 'application/x-ndjson')
  }
  const refused = receiver.batches.find(({ accepted }) => !accepted)
  const repeated = receiver.batches.find(
    ({ accepted, headers }) =>
      accepted && headers['x-muster-batch'] === refused?.headers['x-muster-batch'],
  )
  t.equal(repeated?.body, refused?.body, 'a repeated batch is recognised by its id')
})

t.test('a full queue drops new lines, and counts them', async t => {
  let release = () => {}
  const taken: string[] = []
  const receiver: Receiver = {
    name: 'nats',
    async send(lines) {
      await new Promise<void>(resolve => {
        release = resolve
      })
      taken.push(...lines)
    },
    close: async () => undefined,
  }
  const outbox = open(t, receiver, { capacity: 20, timeoutMillis: 600_000 })
  for (let n = 0; n < 50; n++) outbox.add(line(n))
  t.match(outbox, { waiting: 20, dropped: 30 })
  while (taken.length < 20) {
    release()
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  t.same(
    taken,
    Array.from({ length: 20 }, (_, n) => line(n)),
  )
  outbox.add('x'.repeat(21 * 1024))
  t.match(outbox, { dropped: 31 }, 'long lines do not fill the memory')
})

t.test('a receiver that never answers is given up after the timeout', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let attempts = 0
  const receiver: Receiver = {
    name: 'nats',
    send: () => {
      attempts++
      return attempts === 1 ? new Promise(() => {}) : Promise.resolve()
    },
    close: async () => undefined,
  }
  const outbox = open(t, receiver)
  outbox.add(line(0))
  while (outbox.sent === 0) {
    // The timer alone must end the attempt.
    collect()
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  t.match(outbox, { failures: 1, sent: 1, waiting: 0 })
  t.equal(attempts, 2)
})

t.test('a stop returns the lines that the receiver does not accept in time', async t => {
  const receiver: Receiver = {
    name: 'redis',
    send: () => new Promise(() => {}),
    close: async () => undefined,
  }
  const outbox = open(t, receiver, { timeoutMillis: 600_000 })
  for (let n = 0; n < 35; n++) outbox.add(line(n))
  t.same(
    await outbox.stop(50),
    Array.from({ length: 35 }, (_, n) => line(n)),
  )
  const taking = open(t, { ...receiver, send: async () => undefined }, { delayMillis: 600_000 })
  for (let n = 0; n < 5; n++) taking.add(line(n))
  t.same(await taking.stop(60_000), [], 'what still waits for more is sent at once')
  t.equal(taking.sent, 5)
})
