import t from 'tap'
import {
  createFrontendCounters,
  FrontendCounter,
  Protocol,
  readFrontend,
} from '../../../../src/counters/frontend.ts'
import { startApiServer } from '../../../../src/frontends/api/server/server.ts'
import { Family } from '../../../../src/protocol/records.ts'
import { RawConnection } from '../../../fixtures/http-client.ts'
import { hexOf, startApi, TOKEN } from '../fixtures/api-client.ts'
import { createMemoryAdmin } from '../fixtures/memory-admin.ts'

const A = hexOf(1)
const HEAD = `host: api\r\nauthorization: Bearer ${TOKEN}\r\n`

t.test('a 304 has its text in a header and does not have a body', async t => {
  const { server, admin } = await startApi(t)
  await admin.setKeys([[A, 60]])
  const connection = await RawConnection.open(server.port)
  connection.write(`POST /api/key/${A}/0 HTTP/1.1\r\n${HEAD}\r\n`)
  const answer = await connection.read()
  t.equal(answer?.status, 304)
  t.equal(answer?.headers['x-status'], `key_hash updated ${A}`)
  t.notOk(answer?.headers['content-length'] || answer?.headers['transfer-encoding'])
  connection.write(`GET /health HTTP/1.1\r\nhost: api\r\n\r\n`)
  const next = await connection.read()
  t.same([next?.status, next?.body.toString()], [200, '{"status":"ok"}'], 'the next one follows')
  connection.destroy()
})

t.test('reads the body of GET too, in several segments or chunked', async t => {
  const { server, ask } = await startApi(t)
  const body = JSON.stringify([A])
  const connection = await RawConnection.open(server.port)
  connection.write(`GET /api/whitelists HTTP/1.1\r\n${HEAD}content-length: ${body.length}\r\n\r\n`)
  connection.write(body.slice(0, 10))
  connection.write(body.slice(10))
  t.match((await connection.read())?.body.toString(), /"whitelists":{"f0+1":false}/)
  connection.write(`GET /api/whitelists HTTP/1.1\r\n${HEAD}transfer-encoding: chunked\r\n\r\n`)
  for (const piece of [body.slice(0, 10), body.slice(10), '']) {
    connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`)
  }
  t.match((await connection.read())?.body.toString(), /"whitelists":{"f0+1":false}/)
  connection.destroy()
  const fetched = await ask({ method: 'GET', path: '/api/keys', body: [A] })
  t.same(fetched.json, { status: 'ok', keys: {} })
})

t.test('accepts 100,000 hashes in a body, and refuses more than 8 MiB early', async t => {
  const { server, ask, admin } = await startApi(t)
  const hashes = Array.from({ length: 100_000 }, (_, n) => hexOf(n))
  const added = await ask({ method: 'POST', path: '/api/whitelists', body: hashes })
  t.equal(added.status, 200)
  t.equal(Object.keys((added.json as { whitelists: object }).whitelists).length, 100_000)
  t.same(await admin.listed('whitelist', [hexOf(0), hexOf(99_999)]), [true, true])

  const connection = await RawConnection.open(server.port)
  connection.write(`POST /api/whitelists HTTP/1.1\r\n${HEAD}content-length: 900000000\r\n\r\n`)
  connection.write(Buffer.alloc(8 * 1024 * 1024 + 1, ' '))
  const refused = await connection.read()
  t.same([refused?.status, refused?.body.toString()], [400, '{"status":"body overflow"}'])
  connection.destroy()
})

t.test('refuses malformed JSON bodies', async t => {
  const { ask } = await startApi(t)
  for (const body of [
    '['.repeat(4_000_000),
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    `{"a":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_001)}`,
    Buffer.from([0x5b, 0x22, 0xff, 0xfe, 0x22, 0x5d]),
    'null',
    '"x"',
    '1e999',
    '["\\ud800"]',
  ]) {
    const answer = await ask({ method: 'DELETE', path: '/api/torrents', body })
    t.equal(answer.status, 400, body.slice(0, 20).toString())
    t.match(answer.json, { status: /^(bad json body|invalid info_hash .)$/ })
  }
})

t.test('a client that disconnects early leaves no request in flight', async t => {
  const { server, ask } = await startApi(t)
  for (let n = 0; n < 50; n++) {
    const connection = await RawConnection.open(server.port)
    connection.write(`POST /api/whitelists HTTP/1.1\r\n${HEAD}content-length: 50\r\n\r\n["`)
    connection.destroy()
    const other = await RawConnection.open(server.port)
    other.write(`GET /api/torrent/${A} HTTP/1.1\r\n${HEAD}\r\n`)
    other.destroy()
  }
  while (server.inFlight > 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal((await ask({ method: 'GET', path: '/health' })).status, 200)
})

t.test('answers CORS requests from any origin', async t => {
  const { ask } = await startApi(t)
  const preflight = await ask({
    method: 'OPTIONS',
    path: '/api/torrents',
    token: '',
    headers: { origin: 'https://example.org', 'access-control-request-method': 'DELETE' },
  })
  t.equal(preflight.status, 204)
  t.equal(preflight.text, '')
  t.match(preflight.headers, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, POST, PUT, DELETE',
    'access-control-allow-headers': 'Accept, Authorization, Content-Type, X-Forwarded-For',
  })
  const answer = await ask({ method: 'GET', path: '/stats' })
  t.equal(answer.headers['access-control-allow-origin'], '*')
  t.match(answer.headers['access-control-expose-headers'], 'x-status')
})

t.test('an unknown path is 404 with and without the token', async t => {
  const { ask } = await startApi(t)
  for (const path of [
    '/',
    '/api',
    '/api/',
    '/api/torrents/',
    '/api/torrent',
    '/x',
    '//',
    '/stats/',
  ]) {
    for (const token of ['', TOKEN, 'wrong']) {
      const answer = await ask({ method: 'GET', path, token })
      t.same([answer.status, answer.json], [404, { status: 'not found' }], path)
    }
  }
})

t.test('users with numeric ids have an id instead of a UUID', async t => {
  const { ask } = await startApi(t, { userIdUuid: false })
  const added = await ask({ method: 'POST', path: `/api/user/7/${A}/1/2/3/4/0` })
  t.same(added.json, { status: `user_hash added ${A}` })
  const read = await ask({ method: 'GET', path: `/api/user/${A}` })
  t.same(read.json, {
    id: 7,
    key: A,
    uploaded: 1,
    downloaded: 2,
    completed: 3,
    updated: 4,
    active: 0,
    torrents_active: [],
  })
  const many = await ask({
    method: 'POST',
    path: '/api/users',
    body: [
      [7, A, 1, 2, 3, 4, 0],
      ['8', hexOf(2), 1, 2, 3, 4, 1],
    ],
  })
  t.same(Object.values((many.json as { users: object }).users), [
    'user_hash updated',
    'user_hash added',
  ])
  const exact = (bytes: string) => `[["8","${hexOf(2)}",${bytes},0,0,0,1]]`
  const large = await ask({
    method: 'POST',
    path: '/api/users',
    body: exact('9223372036854775807'),
  })
  t.equal(large.status, 200)
  const { text: user } = await ask({ method: 'GET', path: `/api/user/${hexOf(2)}` })
  t.match(user, /"uploaded":9223372036854775807,/)
  for (const bytes of ['9223372036854775808', '-9007199254740993', '"1"']) {
    const refused = await ask({ method: 'POST', path: '/api/users', body: exact(bytes) })
    t.same([refused.status, refused.json], [400, { status: 'bad json body' }])
  }
  for (const [id, text] of [
    ['0', 'invalid id 0'],
    ['me', 'invalid id me'],
    ['9007199254740993', 'invalid id 9007199254740993'],
  ]) {
    const refused = await ask({ method: 'POST', path: `/api/user/${id}/${A}/1/2/3/4/0` })
    t.same([refused.status, refused.json], [400, { status: text }])
  }
})

t.test('metrics have the content type of Prometheus', async t => {
  const { ask } = await startApi(t)
  const answer = await ask({ method: 'GET', path: '/metrics' })
  t.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(answer.text, /^torrust_actix_torrents_total 0$/m)
})

t.test('closing the server closes its connections', async t => {
  const { server } = await startApi(t)
  const connection = await RawConnection.open(server.port)
  connection.write(`POST /api/keys HTTP/1.1\r\n${HEAD}content-length: 5\r\n\r\n`)
  while (server.inFlight === 0) await new Promise(resolve => setTimeout(resolve, 5))
  server.stopListening()
  const late = await RawConnection.open(server.port).catch(error => error.code)
  t.equal(late, 'ECONNREFUSED')
  server.close()
  await connection.ended()
  t.equal(server.inFlight, 0)
})

t.test('a request with two Host headers is refused', async t => {
  const { server } = await startApi(t)
  for (const second of ['localhost', 'evil.example']) {
    const connection = await RawConnection.open(server.port)
    connection.write(`GET /health HTTP/1.1\r\nhost: localhost\r\nHost: ${second}\r\n\r\n`)
    t.equal((await connection.read())?.status, 400, second)
    connection.destroy()
  }
})

t.test('rejects for an unavailable address and for an empty token', async t => {
  const options = {
    host: '192.0.2.1',
    port: 0,
    token: TOKEN,
    swagger: false,
    userIdUuid: true,
    repeatStatus: 'document' as const,
    compatibility: 'document' as const,
    allowedHosts: [],
    realIpHeader: 'X-Real-IP',
    trustedProxies: [],
    proxyProtocol: false,
    onError: () => {},
  }
  const admin = createMemoryAdmin()
  await t.rejects(
    startApiServer(options, admin, createFrontendCounters()),
    /cannot listen on 192.0.2.1/,
  )
  await t.rejects(
    startApiServer({ ...options, token: '' }, admin, createFrontendCounters()),
    /token is empty/,
  )
})

t.test('counts every request', async t => {
  const { ask, counters } = await startApi(t)
  for (const path of ['/health', '/nothing', '/stats'])
    await ask({ method: 'GET', path, token: '' })
  t.equal(readFrontend(counters, Protocol.http, Family.ipv4, FrontendCounter.api), 3)
})
