import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { getBencoded, RawConnection } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { startReloadable } from '../fixtures/reloadable.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { announceOf, isUpdate, openWebsocket } from '../fixtures/websocket-client.ts'

const GREEDY = '127.0.0.2'
const HONEST = '127.0.0.3'
const OTHER = '127.0.0.4'
const DESCRIPTORS = 512

async function metric(tracker: Tracker, name: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${tracker.port('api')}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  return Number((await answer.text()).split(`\n${name} `)[1]?.split('\n')[0])
}

async function untilMetric(tracker: Tracker, name: string, value: number): Promise<void> {
  while ((await metric(tracker, name)) !== value) await sleep(100)
}

/** Persistent connections with one answered request each. */
async function openMany(t: Test, port: number, from: string, count: number) {
  const connections: RawConnection[] = []
  for (let n = 0; n < count; n++) {
    const connection = await RawConnection.open(port, '127.0.0.1', from)
    t.teardown(() => connection.destroy())
    connection.write(`GET ${announceTarget(1, n)} HTTP/1.1\r\nhost: tracker\r\n\r\n`)
    connections.push(connection)
  }
  return connections
}

async function untilClosed(connections: readonly RawConnection[], count: number): Promise<void> {
  while (connections.filter(({ closed }) => closed).length < count) await sleep(20)
}

const BY_ADDRESS = 'muster_limited_connections_total{limit="connections_per_address"}'
const BY_LISTENER = 'muster_limited_connections_total{limit="max_connections"}'

for (const workers of [0, 1]) {
  t.test(`an address keeps ten of fifty connections, with ${workers} workers`, async t => {
    const { tracker } = await startWithApi(t, {
      frontend: { workers, http: 'node' },
      limits: { connections_per_address: 10 },
    })
    const port = tracker.port('http', '127.0.0.1')
    const kept = await openMany(t, port, HONEST, 10)
    for (const connection of kept) t.equal((await connection.read())?.status, 200)

    const greedy = await openMany(t, port, GREEDY, 50)
    await untilClosed(greedy, 40)
    const left = greedy.filter(({ closed }) => !closed)
    t.equal(left.length, 10)
    for (const connection of left) t.equal((await connection.read())?.status, 200)
    const askOnAll = async () => {
      for (const connection of [...left, ...kept]) {
        const answer = await connection.get(announceTarget(3, 1))
        t.equal(answer?.status, 200, 'who is within the limit is served on')
      }
    }
    await askOnAll()
    t.match(await getBencoded(tracker.url(), announceTarget(2, 1), OTHER), { interval: Number })
    const name = `muster_process_connections{process="${workers === 0 ? 'primary' : 'worker-1'}"}`
    // Metrics lag, and the tracker closes idle connections after some seconds.
    while ((await metric(tracker, BY_ADDRESS)) !== 40 || !((await metric(tracker, name)) >= 20)) {
      await askOnAll()
      await sleep(100)
    }
    await askOnAll()
    t.equal(await metric(tracker, BY_ADDRESS), 40)
    t.equal(await metric(tracker, BY_LISTENER), 0)
    t.equal(await tracker.stop(), 0)
  })
}

t.test('a WebSocket stays while newer connections over the limit are closed', async t => {
  const { tracker } = await startWithApi(t, {
    frontend: { workers: 1, http: 'node' },
    http_server: [{ bind_address: '127.0.0.1:0', max_connections: 3 }],
    udp_server: [],
  })
  const port = tracker.port('http', '127.0.0.1')
  const client = await openWebsocket(t, `${tracker.url().replace('http', 'ws')}/announce`)
  // The other connection belongs to the API.
  await untilMetric(tracker, 'muster_process_connections{process="worker-1"}', 2)
  const connections = await openMany(t, port, OTHER, 8)
  await untilClosed(connections, 6)
  await untilMetric(tracker, BY_LISTENER, 6)
  client.send(announceOf(hashOf(1), clientOf(1).peerId))
  t.ok(await client.message(isUpdate))
})

t.test('a reload applies other limits, and removes them', async t => {
  const { reload, tracker } = await startReloadable(t, { frontend: { workers: 0, http: 'node' } })
  const port = tracker.port('http', '127.0.0.1')
  t.equal(await reload({ limits: { connections_per_address: 5 } }), 'reloaded')
  await untilClosed(await openMany(t, port, GREEDY, 20), 15)
  t.equal(await reload({ limits: { connections_per_address: 0 } }), 'reloaded')
  const free = await openMany(t, port, OTHER, 20)
  for (const connection of free) t.equal((await connection.read())?.status, 200)
})

t.test('one address cannot take every file descriptor', async t => {
  const { tracker } = await startWithApi(
    t,
    { frontend: { workers: 1, http: 'node' }, limits: { connections_per_address: 10 } },
    undefined,
    { through: ['sh', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh'] },
  )
  const greedy = await openMany(t, tracker.port('http', '127.0.0.1'), GREEDY, DESCRIPTORS * 2)
  await untilClosed(greedy, greedy.length - 10)
  t.match(await getBencoded(tracker.url(), announceTarget(2, 1), OTHER), { interval: Number })
  t.notOk(tracker.log.some(({ msg }) => msg === 'worker died'))
})
