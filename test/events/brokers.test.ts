import { spawn } from 'node:child_process'
import { connect } from '@nats-io/transport-node'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { freePort } from '../../bench/rivals/free-port.ts'
import { createNats } from '../../src/events/nats.ts'
import { Outbox, type Receiver } from '../../src/events/outbox.ts'
import { createRedis } from '../../src/events/redis.ts'
import { keepRunning } from '../fixtures/keep-running.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const withoutNats = !hasProgram('nats-server') && 'nats-server is not installed'
const withoutRedis = !hasProgram('redis-server') && 'redis-server is not installed'
const TIMEOUT_MILLIS = 30_000

/** Starts a server. It is killed after the test. */
async function startServer(t: Test, [program = '', ...args]: readonly string[]) {
  const ready = program === 'nats-server' ? 'Server is ready' : 'Ready to accept connections'
  const server = keepRunning(t, ready, 'SIGKILL', () => spawn(program, args))
  await server.start()
  return server
}

function open(t: Test, receiver: Receiver): Outbox {
  const outbox = new Outbox({
    receiver,
    capacity: 10_000,
    batch: 100,
    delayMillis: 5,
    timeoutMillis: TIMEOUT_MILLIS,
    log: pino({ level: 'silent' }),
  })
  t.teardown(() => outbox.stop(0))
  return outbox
}

function addTo(outbox: Outbox, from: number, to: number): void {
  for (let n = from; n < to; n++) outbox.add(JSON.stringify({ id: `run-${n}`, n }))
}

async function until(fits: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await fits())) await new Promise(resolve => setTimeout(resolve, 20))
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

t.test(
  'NATS: a subscriber has every event, also after the server was killed',
  {
    skip: withoutNats,
  },
  async t => {
    const port = await freePort()
    const command = ['nats-server', '-a', '127.0.0.1', '-p', String(port), '--auth', 'a-token']
    const server = await startServer(t, command)
    const seen = new Set<number>()
    const subscribe = async () => {
      const subscriber = await connect({ servers: `127.0.0.1:${port}`, token: 'a-token' })
      t.teardown(() => subscriber.close())
      subscriber.subscribe('site.events', {
        callback: (_, message) => {
          seen.add(message.json<{ n: number }>().n)
        },
      })
      await subscriber.flush()
    }
    await subscribe()
    const url = `nats://a-token@127.0.0.1:${port}`
    // The batch that is in flight when the server dies is sent again after this time.
    const options = { url, subject: 'site.events', jetstream: false, timeoutMillis: 3000 }
    const outbox = open(t, createNats(options))
    addTo(outbox, 0, 1000)
    await until(() => seen.size === 1000)
    await server.stop()
    addTo(outbox, 1000, 1500)
    await until(() => outbox.failures > 0)
    t.equal(outbox.waiting, 500)
    // Without JetStream, a subscriber that connects after the events misses them.
    await server.start()
    await subscribe()
    await until(() => outbox.waiting === 0)
    addTo(outbox, 1500, 2000)
    await until(() => seen.has(1999))
    t.equal(outbox.sent, 2000)
    t.ok(numbers(1000).every(n => seen.has(n)) && seen.has(1500))
  },
)

t.test('NATS: JetStream has stored every event once', { skip: withoutNats }, async t => {
  const port = await freePort()
  const store = temporaryFolder(t)
  const command = ['nats-server', '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store]
  await startServer(t, command)
  const nats = await connect({ servers: `127.0.0.1:${port}` })
  t.teardown(() => nats.close())
  const options = { subject: 'site.events', jetstream: true, timeoutMillis: TIMEOUT_MILLIS }
  const outbox = open(t, createNats({ url: `nats://127.0.0.1:${port}`, ...options }))
  addTo(outbox, 0, 150)
  await until(() => outbox.failures > 0)
  t.equal(outbox.sent, 0, 'without a stream, nothing counts as sent')
  const ask = async (subject: string, body: object = {}) =>
    (await nats.request(`$JS.API.${subject}`, JSON.stringify(body))).json<{
      error?: object
      state?: { messages: number }
    }>()
  await ask('STREAM.CREATE.EVENTS', {
    name: 'EVENTS',
    subjects: ['site.events'],
    storage: 'file',
    retention: 'limits',
    num_replicas: 1,
    duplicate_window: 120_000_000_000,
  })
  await until(() => outbox.waiting === 0)
  t.match(await ask('STREAM.INFO.EVENTS'), { state: { messages: 150 } })
})

t.test(
  'Redis: the stream has every event, also after the server was killed',
  {
    skip: withoutRedis,
  },
  async t => {
    const port = await freePort()
    const folder = temporaryFolder(t)
    const command = [
      'redis-server',
      ...[
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--requirepass',
        'secret',
      ],
      ...['--appendonly', 'yes', '--appendfsync', 'always'],
    ]
    const server = await startServer(t, command)
    const url = `redis://:secret@127.0.0.1:${port}/0`
    const options = { url, stream: 'site:events', length: 0, timeoutMillis: TIMEOUT_MILLIS }
    const outbox = open(t, createRedis(options))
    addTo(outbox, 0, 500)
    await until(() => outbox.waiting === 0)
    await server.stop()
    addTo(outbox, 500, 1000)
    await until(() => outbox.failures > 0)
    await server.start()
    await until(() => outbox.waiting === 0)
    const redis = new Redis(url)
    t.teardown(() => redis.disconnect())
    const entries = await redis.xrange('site:events', '-', '+')
    const seen = new Set(
      entries.map(([, [field, text = '']]) => {
        t.equal(field, 'event')
        return (JSON.parse(text) as { n: number }).n
      }),
    )
    t.same([...seen], numbers(1000))
  },
)

t.test('Redis: a stream is trimmed', { skip: withoutRedis }, async t => {
  const port = await freePort()
  const command = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '']
  await startServer(t, command)
  const url = `redis://127.0.0.1:${port}`
  const options = { url, stream: 'short', length: 100, timeoutMillis: TIMEOUT_MILLIS }
  const outbox = open(t, createRedis(options))
  addTo(outbox, 0, 3000)
  await until(() => outbox.waiting === 0)
  const redis = new Redis(url)
  t.teardown(() => redis.disconnect())
  const length = await redis.xlen('short')
  t.ok(length >= 100 && length < 1000, `${length} entries`)
})
