import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import bencode from 'bencode'
import t, { type Test } from 'tap'
import {
  createFrontendCounters,
  FrontendCounter,
  type FrontendCounters,
  Protocol,
  readFailure,
  readFrontend,
} from '../../../src/counters/frontend.ts'
import { LinkCounter } from '../../../src/counters/link.ts'
import { answer, answerBytesMax } from '../../../src/engine/answer.ts'
import {
  type HttpServer,
  type HttpServerOptions,
  startHttpServer,
} from '../../../src/frontends/http/server.ts'
import type { Link } from '../../../src/link/link.ts'
import { connectPortLink, servePort } from '../../../src/link/port.ts'
import { parseExternalIp } from '../../../src/protocol/external-ip.ts'
import { Failure, STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import { Family, type IpFamily } from '../../../src/protocol/records.ts'
import { testBackend } from '../../fixtures/http-backend.ts'
import { type Dictionary, latin1, query, RawConnection } from '../../fixtures/http-client.ts'
import { clientOf, hashOf, NOW, newEngine } from '../../fixtures/tracker-client.ts'

const OPTIONS: HttpServerOptions = {
  backend: testBackend.name,
  host: '127.0.0.1',
  port: 0,
  realIpHeader: 'X-Real-IP',
  trustedProxies: [],
  proxyProtocol: false,
  pathRules: { keys: false, users: false },
  usePayloadIp: false,
  numwantDefault: 50,
  numwantMaximum: 100,
  minInterval: 900,
  failures: STANDARD_ANSWERS,
  websocket: false,
  websocketInterval: 120,
}

type Started = {
  port: number
  server: HttpServer
  link: Link
  counters: FrontendCounters
  open(): Promise<RawConnection>
}

/** A server on an engine in this thread. */
async function start(t: Test, overrides: Partial<HttpServerOptions> = {}): Promise<Started> {
  const engine = newEngine()
  const { port1, port2 } = new MessageChannel()
  servePort(
    port2,
    (request, at, reply, replyAt) => answer(engine, request, at, reply, replyAt, NOW),
    answerBytesMax,
  )
  const link = connectPortLink(port1)
  await link.whenUp()
  t.teardown(() => link.close())
  const counters = createFrontendCounters()
  const server = await startHttpServer({ ...OPTIONS, ...overrides }, link, counters)
  t.teardown(() => server.close())
  return {
    port: server.port,
    server,
    link,
    counters,
    open: () => RawConnection.open(server.port, overrides.host ?? '127.0.0.1'),
  }
}

function announce(n: number, more: Record<string, string | number> = {}): string {
  const { peerId, port } = clientOf(n)
  return `/announce${query({ info_hash: hashOf(1), peer_id: peerId, port, left: n, ...more })}`
}

function decode(body: Buffer | undefined): Dictionary {
  return bencode.decode(body ?? Buffer.from('de')) as Dictionary
}

t.test('an announce is answered with keys in order, and the recipient’s own address', async t => {
  const { open } = await start(t)
  const connection = await open()
  const first = await connection.get(announce(0))
  t.equal(first?.status, 200)
  t.equal(first?.headers['content-type'], 'text/plain')
  t.match(
    latin1(first?.body).replace('\x7f\0\0\x01', 'ADDR'),
    /^d8:completei1e10:downloadedi0e11:external ip4:ADDR10:incompletei0e8:intervali1[89]\d\de12:min intervali900e5:peers0:e$/,
  )
  const second = decode((await connection.get(announce(5)))?.body)
  t.equal(latin1(second['peers']), '\x7f\0\0\x01\x04\0', 'client 0 on port 1024')
  connection.destroy()
})

t.test('IPv6 clients get peers6, and the dictionary form on request', async t => {
  const { open } = await start(t, { host: '::1' })
  const connection = await open()
  await connection.get(announce(0))
  const compact = decode((await connection.get(announce(1)))?.body)
  t.equal((compact['peers6'] as Uint8Array).length, 18)
  const peers = decode((await connection.get(announce(1, { compact: 0 })))?.body)[
    'peers'
  ] as Dictionary[]
  t.same(
    peers.map(peer => [latin1(peer['ip']), peer['port'], latin1(peer['peer id'])]),
    [['::1', 1024, clientOf(0).peerId.toString('latin1')]],
  )
  const bare = decode((await connection.get(announce(1, { compact: 0, no_peer_id: 1 })))?.body)[
    'peers'
  ]
  t.notOk('peer id' in ((bare as Dictionary[])[0] ?? {}))
  connection.destroy()
})

t.test('raw bytes in a query are bytes; those that uWebSockets.js loses are refused', async t => {
  const { port } = await start(t)
  const sent = async (infoHash: Buffer) => {
    const target = announce(1).replace(/info_hash=[^&]*/, 'info_hash=')
    const [before, after] = target.split('info_hash=') as [string, string]
    const connection = await RawConnection.open(port)
    connection.write(
      Buffer.concat([
        Buffer.from(`GET ${before}info_hash=`),
        infoHash,
        Buffer.from(`${after} HTTP/1.1\r\nhost: x\r\n\r\n`),
      ]),
    )
    const answer = decode((await connection.read())?.body)
    connection.destroy()
    return answer
  }
  const utf8 = Buffer.from('é'.repeat(10))
  t.match(await sent(utf8), { interval: Number, incomplete: 1 })
  const again = await RawConnection.open(port)
  const scraped = decode((await again.get(`/scrape${query({ info_hash: utf8 })}`))?.body)
  t.same(Object.values(scraped['files'] as object)[0], {
    complete: 0,
    downloaded: 0,
    incomplete: 1,
  })
  again.destroy()
  const bytes = await sent(Buffer.from(Array.from({ length: 20 }, (_, n) => 0xff - n)))
  if (testBackend.name === 'node') t.match(bytes, { incomplete: 1 })
  else t.match(latin1(bytes['failure reason']), /percent-encoded/)
})

t.test('public clients get the external address in place of local ones', async t => {
  const external = parseExternalIp('203.0.113.5, 2001:db8::5')
  const { open } = await start(t, {
    externalIp: external,
    trustedProxies: ['127.0.0.1/32'],
    realIpHeader: 'X-Real-IP',
  })
  const connection = await open()
  const from = async (n: number, address: string, more = {}) =>
    decode((await connection.get(announce(n, more), `x-real-ip: ${address}\r\n`))?.body)
  await from(1, '10.0.0.1')
  await from(2, '192.168.1.7')
  await from(3, 'fd00::1')
  await from(4, 'fe80::1')
  await from(5, '10.0.0.9', { port: clientOf(1).port })
  const port = (n: number) => latin1(Buffer.from([clientOf(n).port >> 8, clientOf(n).port & 255]))
  const ip = '\xcb\0q\x05'
  const ipv4 = latin1((await from(8, '9.9.9.9'))['peers'])
  t.same(ipv4.match(/.{6}/gs)?.sort(), [ip + port(1), ip + port(2)].sort(), 'each endpoint once')
  const ipv6 = latin1((await from(9, '2620:fe::fe'))['peers6'])
  t.equal(ipv6, ` \x01\r\xb8${'\0'.repeat(11)}\x05${port(3)}`)
  const listed = (await from(8, '9.9.9.9', { compact: 0 }))['peers'] as Dictionary[]
  const ids = listed.map(peer => latin1(peer['peer id']))
  t.equal(ids.length, 2)
  for (const id of ids) {
    t.ok([1, 2, 5].some(n => clientOf(n).peerId.toString('latin1') === id))
  }
  const local = latin1((await from(6, '10.0.0.3'))['peers'])
  t.ok(local.includes(`\n\0\0\x01${port(1)}`), 'their own addresses within the network')
  connection.destroy()
})

t.test('a scrape answers for several torrents at once', async t => {
  const { open } = await start(t)
  const connection = await open()
  await connection.get(announce(0))
  const hashes = [hashOf(2), hashOf(1), hashOf(2)]
    .map(hash => query({ info_hash: hash }).slice(1))
    .join('&')
  const files = decode((await connection.get(`/scrape?${hashes}`))?.body)['files'] as Record<
    string,
    Dictionary
  >
  t.same(Object.values(files), [
    { complete: 1, downloaded: 0, incomplete: 0 },
    { complete: 0, downloaded: 0, incomplete: 0 },
  ])
  connection.destroy()
})

t.test(
  'a hundred hashes, every byte percent-encoded, fit a scrape; one more is refused',
  async t => {
    const { open } = await start(t)
    const hashes = (count: number) =>
      Array.from({ length: count }, (_, n) => query({ info_hash: hashOf(n) }).slice(1)).join('&')
    const connection = await open()
    const files = decode((await connection.get(`/scrape?${hashes(100)}`))?.body)['files']
    t.equal(Object.keys(files as object).length, 100)
    const refused = await connection.get(`/scrape?${hashes(101)}`)
    t.match(latin1(refused?.body), /^d14:failure reason28:too many info_hash in scrape8:interval/)
    connection.destroy()
  },
)

t.test('failures have status 200', async t => {
  const { open } = await start(t)
  const connection = await open()
  for (const [target, reason] of [
    ['/announce', 'missing info_hash'],
    ['/announce?', 'missing info_hash'],
    ['/announce?info_hash=abc', 'invalid info_hash size'],
    ['/announce?info_hash=%zz', 'info_hash or peer_id is not percent-encoded'],
    [`/announce${query({ info_hash: hashOf(1) })}`, 'missing peer_id'],
    [announce(1, { port: 65536 }), 'missing or invalid port'],
    ['/scrape', 'missing info_hash'],
    [`/announce?${'x'.repeat(9000)}`, 'query too long'],
  ] as const) {
    const answer = await connection.get(target)
    t.match(
      [answer?.status, decode(answer?.body)['failure reason']],
      [200, Buffer.from(reason)],
      target.slice(0, 60),
    )
  }
  connection.destroy()
})

t.test('a client that started before keys were required can stop', async t => {
  const { open, link, counters } = await start(t)
  const pathRules = { ...OPTIONS.pathRules, keys: true, users: true }
  const server = await startHttpServer({ ...OPTIONS, pathRules }, link, counters)
  t.teardown(() => server.close())
  const before = await open()
  await before.get(announce(0))
  const keyed = await RawConnection.open(server.port, '127.0.0.1')
  const reason = async (target: string) =>
    latin1(decode((await keyed.get(target))?.body)['failure reason'] ?? '')
  t.equal(await reason(announce(0)), 'missing key')
  t.equal(await reason(announce(0, { event: 'stopped', info_hash: 'short' })), 'missing key')
  const peers = async () => decode((await before.get(announce(5)))?.body)['incomplete']
  t.equal(await peers(), 1)
  t.equal(await reason(announce(0, { event: 'stopped' })), '')
  t.equal(await reason(announce(5, { event: 'stopped' }).replace('/', '/short/')), '')
  t.equal(await peers(), 1, 'the one that asks')
})

t.test('HEAD is answered with the headers alone', async t => {
  const { open } = await start(t)
  const connection = await open()
  for (const [target, bytes] of [
    [announce(1), 100],
    ['/announce', 39],
    ['/nothing', 37],
    ['/health', 2],
  ] as const) {
    connection.write(`HEAD ${target} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const head = await connection.read(false)
    t.ok(Number(head?.headers['content-length']) >= bytes, target)
  }
  t.equal((await connection.get('/health'))?.status, 200, 'no body came in between')
  connection.destroy()
})

t.test('other paths are not found, with a body that a tracker client can read', async t => {
  const { open } = await start(t)
  const connection = await open()
  for (const target of ['/announcement', '/a/b/c/announce', '/a/scrape/b', '/stats']) {
    const answer = await connection.get(target)
    t.match(
      [answer?.status, latin1(decode(answer?.body)['failure reason'])],
      [404, 'unknown request'],
    )
  }
  for (const target of [announce(1), '/scrape', '/', '/health']) {
    const other = await open()
    other.write(`POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello`)
    const refused = await other.read()
    t.match([refused?.status, refused?.headers['allow']], [405, 'GET, HEAD, OPTIONS'], target)
    await other.ended()
  }
})

t.test('health checks of load balancers are answered, and fail without an engine', async t => {
  const { link, open } = await start(t)
  const connection = await open()
  for (const path of ['/', '/health', '/healthz', '/health_check', '/ready', '/ping']) {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      connection.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
      t.equal((await connection.read(method !== 'HEAD'))?.status, 200, `${method} ${path}`)
    }
  }
  link.close()
  t.equal((await connection.get('/health'))?.status, 503)
  connection.destroy()
})

t.test('a page of another origin may announce and scrape', async t => {
  const { open } = await start(t)
  const connection = await open()
  const origin = 'origin: https://site.example\r\n'
  const anyOrigin = 'access-control-allow-origin'
  for (const target of [announce(1), '/scrape', '/nothing', '/health']) {
    t.equal((await connection.get(target, origin))?.headers[anyOrigin], '*', target)
  }
  t.equal(
    (await connection.get(announce(1)))?.headers[anyOrigin],
    undefined,
    'the request has no Origin',
  )
  for (const target of ['/announce', '/', '/key/announce', '/nothing']) {
    connection.write(
      `OPTIONS ${target} HTTP/1.1\r\nhost: x\r\n${origin}access-control-request-method: GET\r\n\r\n`,
    )
    const answer = await connection.read()
    t.match(answer, {
      status: 204,
      headers: { [anyOrigin]: '*', 'access-control-allow-methods': 'GET, HEAD, OPTIONS' },
    })
  }
  connection.destroy()
})

t.test('the operator chooses what / answers', async t => {
  const redirecting = await start(t, { index: 'https://site.example/' })
  const first = await redirecting.open()
  t.match(await first.get('/'), { status: 302, headers: { location: 'https://site.example/' } })
  t.equal((await first.get('/health'))?.status, 200)
  first.destroy()
  const file = join(t.testdir({ 'index.html': '<p>a tracker' }), 'index.html')
  const serving = await start(t, { index: file })
  const second = await serving.open()
  const answer = await second.get('/')
  t.match([answer?.status, latin1(answer?.body)], [200, '<p>a tracker'])
  second.destroy()
  await t.rejects(start(t, { index: `${file}.missing` }), /cannot read http_server.index/)
})

t.test('a client that pipelines and does not read holds no answers in memory', async t => {
  const { open, port, server } = await start(t)
  for (const target of ['/nothing', '/announce', '/scrape', announce(1)]) {
    const socket = connect(port, '127.0.0.1').pause()
    socket.on('error', () => {})
    const request = `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`
    const block = request.repeat(Math.ceil(65_536 / request.length))
    // It is cut off long before it has sent 64 MiB.
    for (let blocks = 0; blocks < 1000 && !socket.destroyed; blocks++) {
      if (!socket.write(block)) await sleep(20)
      if (socket.writableLength > 1 << 20) break
    }
    const unread = socket.writableLength
    t.ok(socket.destroyed || unread > 1 << 20, `${target}: cut off, or no longer read`)
    socket.destroy()
  }
  while (server.inFlight > 0) await new Promise(resolve => setTimeout(resolve, 5))
  const honest = await open()
  t.equal((await honest.get(announce(1)))?.status, 200)
  honest.destroy()
})

t.test('a client that wants its connection closed gets that', async t => {
  const { open } = await start(t)
  const connection = await open()
  connection.write(`GET ${announce(1)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
  t.equal((await connection.read())?.status, 200)
  await connection.ended()
})

t.test('a request may come in pieces, wherever it is cut', async t => {
  const { open } = await start(t)
  const scrape = `/scrape?${Array.from({ length: 40 }, (_, n) => query({ info_hash: hashOf(n) }).slice(1)).join('&')}`
  for (const target of [announce(1), scrape]) {
    const request = `GET ${target} HTTP/1.1\r\nhost: x\r\n\r\n`
    const connection = await open()
    for (let cut = 1; cut < request.length; cut += 1 + Math.floor(request.length / 60)) {
      connection.write(request.slice(0, cut))
      await new Promise(resolve => setTimeout(resolve, 2))
      connection.write(request.slice(cut))
      t.equal((await connection.read())?.status, 200, `cut after ${cut} bytes`)
    }
    connection.destroy()
  }
})

t.test('the real address is believed from trusted proxies only', async t => {
  const target = announce(1)
  const externalIp = async (trustedProxies: string[], header: string) => {
    const { open } = await start(t, { trustedProxies })
    const connection = await open()
    const answer = decode((await connection.get(target, header))?.body)
    connection.destroy()
    return latin1(answer['external ip'] ?? answer['failure reason'])
  }
  t.equal(await externalIp([], 'x-real-ip: 5.6.7.8\r\n'), '\x7f\0\0\x01')
  t.equal(await externalIp(['127.0.0.0/8'], 'X-Real-IP: 5.6.7.8\r\n'), '\x05\x06\x07\x08')
  t.equal(
    await externalIp(['127.0.0.0/8'], 'x-real-ip: nonsense\r\n'),
    'the proxy did not send your address',
  )
  t.equal(await externalIp(['127.0.0.0/8'], ''), 'the proxy did not send your address')
})

t.test('several lines of the header are one list', async t => {
  const { open } = await start(t, { trustedProxies: ['::ffff:127.0.0.0/104'] })
  const connection = await open()
  const lines = 'x-real-ip: 9.9.9.9\r\nX-Real-IP: 5.6.7.8\r\nx-real-ip: 127.0.0.1\r\n'
  const answer = decode((await connection.get(announce(1), lines))?.body)
  t.equal(latin1(answer['external ip']), '\x05\x06\x07\x08')
  connection.destroy()
})

t.test('the PROXY protocol is accepted from trusted proxies, where it is switched on', async t => {
  const head = Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex')
  const addresses = Buffer.of(5, 6, 7, 8, 127, 0, 0, 1, 0x1a, 0xe1, 0, 80)
  const externalIp = async (options: Partial<HttpServerOptions>) => {
    const { open } = await start(t, { backend: 'node', ...options })
    const connection = await open()
    connection.write(head)
    await new Promise(resolve => setTimeout(resolve, 2))
    connection.write(addresses)
    const first = await connection.get(announce(1))
    if (first?.status !== 200) return first?.status
    const second = decode((await connection.get(announce(1)))?.body)
    connection.destroy()
    const { 'external ip': ip } = decode(first.body)
    t.same(second['external ip'], ip, 'it counts for the whole connection')
    return latin1(ip)
  }
  const trustedProxies = ['127.0.0.0/8']
  t.equal(await externalIp({ trustedProxies, proxyProtocol: true }), '\x05\x06\x07\x08')
  t.equal(await externalIp({ trustedProxies }), 400, 'switched off')
  t.equal(await externalIp({ trustedProxies: ['10.0.0.0/8'], proxyProtocol: true }), 400)
})

t.test('the ip parameter counts where the operator allows it', async t => {
  for (const [usePayloadIp, compact] of [
    [true, '\x05\x06\x07\x08\x04\x01'],
    [false, '\x7f\0\0\x01\x04\x01'],
  ] as const) {
    const { open } = await start(t, { usePayloadIp })
    const connection = await open()
    await connection.get(announce(1, { ip: '5.6.7.8' }))
    t.equal(latin1(decode((await connection.get(announce(2)))?.body)['peers']), compact)
    connection.destroy()
  }
})

t.test('a client that disconnects while its request waits leaves no state', async t => {
  const { server, link, open } = await start(t)
  for (let round = 0; round < 50; round++) {
    const connections = await Promise.all(Array.from({ length: 10 }, open))
    for (const connection of connections) {
      connection.write(`GET ${announce(round)} HTTP/1.1\r\nhost: x\r\n\r\n`)
      connection.destroy()
    }
  }
  const last = await open()
  t.equal((await last.get(announce(1)))?.status, 200)
  while (server.inFlight > 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(link.waiting, 0)
  last.destroy()
})

t.test('without an engine the tracker answers with a failure at once', async t => {
  const { link, open } = await start(t)
  const connection = await open()
  t.equal((await connection.get(announce(1)))?.status, 200)
  link.close()
  t.equal(
    latin1((await connection.get(announce(1)))?.body),
    'd14:failure reason31:tracker temporarily unavailable8:intervali300e12:min intervali300e8:retry ini5ee',
  )
  connection.destroy()
})

t.test('an address that cannot be listened on rejects', async t => {
  const { link } = await start(t)
  await t.rejects(
    startHttpServer({ ...OPTIONS, host: '192.0.2.1' }, link, createFrontendCounters()),
    /cannot listen on 192.0.2.1/,
  )
})

t.test("each answer is counted once, by kind and by the client's family", async t => {
  const { counters, link, open } = await start(t, { trustedProxies: ['127.0.0.1'] })
  const connection = await open()
  const ask = (target: string, address: string) =>
    connection.get(target, `x-real-ip: ${address}\r\n`)
  await ask(announce(1), '192.0.2.1')
  await ask(announce(2), '2001:db8::1')
  await ask(announce(3), '2001:db8::1')
  await ask(`/scrape${query({ info_hash: hashOf(1) })}`, '192.0.2.1')
  await ask('/announce?info_hash=x', '192.0.2.1')
  await ask('/announce', '2001:db8::1')
  await ask(announce(4), 'nobody')
  await ask('/nothing', '2001:db8::1')
  connection.write('POST /announce HTTP/1.1\r\nhost: tracker\r\nx-real-ip: 192.0.2.1\r\n\r\n')
  await connection.read()
  connection.destroy()
  for (const [family, expected] of [
    [Family.ipv4, { announce: 1, scrape: 1, notFound: 0, refused: 1 }],
    [Family.ipv6, { announce: 2, scrape: 0, notFound: 1, refused: 0 }],
  ] as const) {
    for (const [kind, count] of Object.entries(expected)) {
      const counter = FrontendCounter[kind as keyof typeof expected]
      t.equal(readFrontend(counters, Protocol.http, family, counter), count, `${kind} ${family}`)
    }
  }
  const failures = (family: IpFamily, code: Failure) =>
    readFailure(counters, Protocol.http, family, code)
  t.equal(failures(Family.ipv4, Failure.invalidInfoHash), 1)
  t.equal(failures(Family.ipv6, Failure.missingInfoHash), 1)
  t.equal(failures(Family.ipv4, Failure.unknownOrigin), 1, 'an unknown client counts as IPv4')
  t.equal(link.counters[LinkCounter.records], 4)
  t.equal(link.counters[LinkCounter.frames], 4, 'one waited for the other')
  link.close()
})
