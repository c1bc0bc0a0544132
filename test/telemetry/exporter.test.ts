import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { Exporter } from '../../src/telemetry/exporter.ts'
import { startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

type Received = { path: string; token: string | undefined; body: Record<string, never> }

/** A collector on 127.0.0.1 that stores the requests that it receives. */
async function startCollector(test: typeof t) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    received.push({
      path: request.url ?? '',
      token: request.headers.authorization,
      body: JSON.parse(Buffer.concat(chunks).toString()),
    })
    response.end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const OPTIONS = { headers: { authorization: 'Bearer x' }, serviceName: 'name', version: '1.2.3' }

t.test('spans and errors reach a collector, at the latest when the tracker stops', async t => {
  const { received, url } = await startCollector(t as never)
  const exporter = new Exporter({
    ...OPTIONS,
    endpoint: `${url}/`,
    onChange: () => t.fail('the collector is reachable'),
  })
  t.equal(await exporter.trace('work', { entries: 3 }, async () => 7), 7)
  await t.rejects(
    exporter.trace('worse', {}, () => Promise.reject(new Error('broken'))),
    'broken',
  )
  exporter.error('message', { 'exception.type': 'RangeError' })
  await exporter.stop()
  const resource = {
    attributes: [
      { key: 'service.name', value: { stringValue: 'name' } },
      { key: 'service.version', value: { stringValue: '1.2.3' } },
    ],
  }
  const span = {
    traceId: /^[0-9a-f]{32}$/,
    spanId: /^[0-9a-f]{16}$/,
    startTimeUnixNano: /^\d{19}$/,
  }
  t.match(received, [
    {
      path: '/v1/traces',
      token: 'Bearer x',
      body: {
        resourceSpans: [
          {
            resource,
            scopeSpans: [
              {
                spans: [
                  { ...span, name: 'work', attributes: [{ key: 'entries' }], status: {} },
                  { ...span, name: 'worse', status: { code: 2, message: 'broken' } },
                ],
              },
            ],
          },
        ],
      },
    },
    {
      path: '/v1/logs',
      body: {
        resourceLogs: [
          { resource, scopeLogs: [{ logRecords: [{ body: { stringValue: 'message' } }] }] },
        ],
      },
    },
  ])
})

t.test('an unreachable collector is reported once, and loses nothing else', async t => {
  const changes: boolean[] = []
  const exporter = new Exporter({
    ...OPTIONS,
    endpoint: 'http://127.0.0.1:1',
    onChange: isReachable => changes.push(isReachable),
  })
  exporter.error('message', {})
  t.equal(await exporter.trace('work', {}, async () => 7), 7)
  await exporter.stop()
  t.same(changes, [false])
})

t.test('the tracker exports calls of its API, and logs statistics', async t => {
  const { received, url } = await startCollector(t as never)
  const { admin, tracker } = await startWithApi(t, {
    telemetry: { endpoint: url },
    log: { statistics_interval: 1 },
  })
  await admin.call('POST', '/api/whitelists', ['1'.repeat(40), '2'.repeat(40)])
  const line = await tracker.line(({ msg, whitelist }) => msg === 'statistics' && whitelist === 2)
  t.match(line, { torrents: 0, seeds: 0, peers: 0, completed: 0, blacklist: 0, keys: 0, users: 0 })
  t.equal(await tracker.stop(), 0)
  const text = JSON.stringify(received)
  t.match(text, /"name":"admin addListed".*"muster.entries","value":{"doubleValue":2}/)
  t.match(text, '"service.name","value":{"stringValue":"muster"}')
  t.notMatch(text, TOKEN)
})

t.test('an error that ends a worker is exported', async t => {
  const { received, url } = await startCollector(t as never)
  const faulty = join(temporaryFolder(t), 'faulty.mjs')
  writeFileSync(
    faulty,
    `if (process.env.MUSTER_WORKER) process.on('SIGUSR2', () => { throw new RangeError('of a test') })`,
  )
  const { tracker } = await startWithApi(
    t,
    { frontend: { workers: 1 }, telemetry: { endpoint: url } },
    undefined,
    { environment: { NODE_OPTIONS: `--import=${pathToFileURL(faulty)}` } },
  )
  const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
  process.kill(Number(pid), 'SIGUSR2')
  await tracker.line(({ msg }) => msg === 'worker failed')
  await tracker.line(({ msg, pid: next }) => msg === 'worker started' && next !== pid)
  t.equal(await tracker.stop(), 0)
  const logs = received.filter(({ path }) => path === '/v1/logs').map(({ body }) => body)
  const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  const text = JSON.stringify(logs)
  t.match(text, JSON.stringify({ stringValue: 'worker failed' }))
  t.match(text, JSON.stringify(attribute('muster.process', 'worker-1')))
  t.match(text, JSON.stringify(attribute('exception.type', 'RangeError')))
  t.match(text, JSON.stringify(attribute('exception.message', 'of a test')))
  t.match(text, /"exception.stacktrace","value":{"stringValue":"RangeError: of a test\\n/)
})
