import { get } from 'node:http'
import type { connect } from 'node:net'
import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import {
  createFrontendCounters,
  FrontendCounter,
  Protocol,
  readFailures,
  readFrontend,
} from '../../../src/counters/frontend.ts'
import type { AccessRules } from '../../../src/engine/access.ts'
import { answer, answerBytesMax } from '../../../src/engine/answer.ts'
import { removeValue, setValue } from '../../../src/engine/tables/hash-table.ts'
import { totals } from '../../../src/engine/totals.ts'
import { type HttpServerOptions, startHttpServer } from '../../../src/frontends/http/server.ts'
import {
  FAULTS,
  PEER_IDS_PER_TORRENT_MAX,
  type WebsocketLimits,
} from '../../../src/frontends/websocket/limits.ts'
import { startWebsocketTracker } from '../../../src/frontends/websocket/tracker.ts'
import { connectPortLink, servePort } from '../../../src/link/port.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { WEBSOCKET_MESSAGE_BYTES_MAX } from '../../../src/protocol/limits.ts'
import { Family } from '../../../src/protocol/records.ts'
import { listenerOn } from '../../app/fixtures/engine-start.ts'
import { clientOf, hashOf, NOW, newEngine } from '../../fixtures/tracker-client.ts'
import {
  announceOf,
  answerTo,
  isAnswer,
  isFailure,
  isOffer,
  isUpdate,
  type Json,
  offersOf,
  openWebsocket,
  scrapeOf,
} from '../../fixtures/websocket-client.ts'
import { WEBSOCKET_LIMITS } from '../../fixtures/websocket-limits.ts'

/** A refused upgrade, as plain HTTP. */
async function upgradeRequest(port: number) {
  return new Promise<{ status: number; headers: Headers; text: string }>((resolve, reject) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    get({ port, host: '127.0.0.1', path: '/', headers }, async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      resolve({
        status: response.statusCode ?? 0,
        headers: new Headers(response.headers as Record<string, string>),
        text: String(Buffer.concat(chunks)),
      })
    }).on('error', reject)
  })
}

/** Resolves once it `holds`. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** A tracker on an engine in this thread. */
async function start(
  t: Test,
  rules: Partial<AccessRules> = {},
  options: Partial<HttpServerOptions> & { limits?: Partial<WebsocketLimits> } = {},
) {
  const engine = newEngine(undefined, undefined, rules)
  const { port1, port2 } = new MessageChannel()
  servePort(
    port2,
    (request, at, reply, replyAt) => answer(engine, request, at, reply, replyAt, NOW),
    answerBytesMax,
  )
  const link = connectPortLink(port1)
  await link.whenUp()
  const counters = createFrontendCounters()
  const logged: { message: string; fields: object }[] = []
  const { limits, ...more } = options
  const tracker = await startWebsocketTracker(
    {
      worker: 0,
      relayPath: undefined,
      limits: { ...WEBSOCKET_LIMITS, ...limits },
      log: { warn: (fields, message) => logged.push({ message, fields }) },
    },
    link,
    counters,
  )
  const listener = { ...listenerOn('127.0.0.1', 0), ...more }
  const server = await startHttpServer(listener, link, counters, { websocket: tracker })
  t.teardown(async () => {
    server.close()
    await tracker.close()
    link.close()
  })
  const count = (counter: FrontendCounter) =>
    readFrontend(counters, Protocol.websocket, Family.ipv4, counter)
  return {
    engine,
    tracker,
    count,
    failures: () => readFailures(counters, Protocol.websocket, Family.ipv4),
    port: server.port,
    server,
    logged,
    open: (path = '/announce', headers = {}) =>
      openWebsocket(t, `ws://127.0.0.1:${server.port}${path}`, headers),
  }
}

t.test('an offer reaches a peer, and the answer its maker', async t => {
  const { count, engine, open } = await start(t)
  const infoHash = hashOf(1)
  const [first, second] = [clientOf(1), clientOf(2)]
  const a = await open()
  const b = await open('/')
  a.send(announceOf(infoHash, first.peerId, { offers: offersOf('a', 2) }))
  t.same(await a.message(isUpdate), {
    action: 'announce',
    interval: 120,
    complete: 0,
    incomplete: 1,
    info_hash: infoHash.toString('latin1'),
  })
  b.send(announceOf(infoHash, second.peerId, { offers: offersOf('b', 2), left: 0 }))
  t.match(await b.message(isUpdate), { complete: 1, incomplete: 1 })
  const offer = await a.message(isOffer)
  t.same(offer, {
    action: 'announce',
    offer: { type: 'offer', sdp: 'offer 0 of b' },
    offer_id: 'b-0'.padEnd(20, '.'),
    peer_id: second.peerId.toString('latin1'),
    info_hash: infoHash.toString('latin1'),
  })
  a.send(answerTo(offer, first.peerId))
  t.match(await b.message(isAnswer), {
    action: 'announce',
    answer: { type: 'answer' },
    offer_id: 'b-0'.padEnd(20, '.'),
    peer_id: first.peerId.toString('latin1'),
    info_hash: infoHash.toString('latin1'),
  })
  t.same(totals(engine).peers, [0, 0, 2])
  b.socket.close()
  await until(() => totals(engine).peers[2] === 1)
  t.same(a.received, [])
  t.equal(count(FrontendCounter.connection), 2)
  t.equal(count(FrontendCounter.announce), 2)
  t.equal(count(FrontendCounter.relayed), 2)
})

t.test('only the recipient of an offer can answer it, once, and only to its maker', async t => {
  const { count, open } = await start(t)
  const infoHash = hashOf(1)
  const [a, b, c] = [await open(), await open(), await open()] as const
  const ids = [1, 2, 3].map(n => clientOf(n).peerId) as [Buffer, Buffer, Buffer]
  a.send(announceOf(infoHash, ids[0]))
  await a.message(isUpdate)
  b.send(announceOf(infoHash, ids[1], { offers: offersOf('b', 1) }))
  await b.message(isUpdate)
  const offer = await a.message(isOffer)
  c.send(announceOf(infoHash, ids[2]))
  await c.message(isUpdate)
  c.send(answerTo(offer, ids[2]))
  c.send(answerTo(offer, ids[0]))
  a.send(answerTo({ ...offer, peer_id: ids[2].toString('latin1') }, ids[0]))
  await until(() => count(FrontendCounter.dropped) === 3)
  a.send(answerTo(offer, ids[0]))
  a.send(answerTo(offer, ids[0]))
  await until(() => count(FrontendCounter.dropped) === 4)
  t.match(await b.message(isAnswer), { peer_id: ids[0].toString('latin1') })
  t.same(b.received, [])
  t.same(c.received, [])
})

t.test(
  'a stopped peer is removed from one torrent, the peers of a closed socket from all',
  async t => {
    const { engine, open, tracker } = await start(t)
    const a = await open()
    const { peerId } = clientOf(1)
    for (let n = 0; n < 20; n++) a.send(announceOf(hashOf(n), peerId))
    for (let n = 0; n < 20; n++) await a.message(isUpdate)
    a.send(announceOf(hashOf(0), peerId, { event: 'stopped' }))
    t.match(await a.message(isUpdate), { complete: 0, incomplete: 0 })
    t.equal(totals(engine).peers[2], 19)
    a.socket.terminate()
    await until(() => totals(engine).peers[2] === 0 && tracker.inFlight === 0)
  },
)

t.test('scrapes, of one torrent or many', async t => {
  const { open } = await start(t)
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId, { left: 0 }))
  await a.message(isUpdate)
  const isScrape = (message: object) => 'files' in message
  a.send(scrapeOf(hashOf(1), hashOf(2)))
  t.same(await a.message(isScrape), {
    action: 'scrape',
    files: {
      [hashOf(1).toString('latin1')]: { complete: 1, incomplete: 0, downloaded: 0 },
      [hashOf(2).toString('latin1')]: { complete: 0, incomplete: 0, downloaded: 0 },
    },
    flags: { min_request_interval: 120 },
  })
})

t.test('keys of the path apply to every message', async t => {
  const { failures, open } = await start(
    t,
    { keys: true },
    { pathRules: { keys: true, users: false } },
  )
  for (const [path, reason] of [
    ['/', 'missing key'],
    ['/announce/short', 'invalid key: wrong length or characters'],
    [`/announce/${'ab'.repeat(20)}`, 'invalid or expired key'],
  ] as const) {
    const a = await open(path)
    a.send(announceOf(hashOf(1), clientOf(1).peerId))
    t.match(await a.message(isFailure), {
      action: 'announce',
      'failure reason': reason,
      info_hash: hashOf(1).toString('latin1'),
    })
    a.send(scrapeOf(hashOf(1)))
    t.match(await a.message(isFailure), { action: 'scrape', 'failure reason': reason })
  }
  t.equal(failures(), 6)
})

t.test(
  'an invalid message is answered with a failure, and a flood of them closes the socket',
  async t => {
    const { count, logged, open } = await start(t)
    const a = await open()
    a.send('{')
    t.match(await a.message(isFailure), { 'failure reason': 'invalid JSON', 'retry in': 'never' })
    for (let n = 0; n < FAULTS.burst + 5; n++) a.send('{')
    t.equal(await a.closed, 1008)
    t.equal(count(FrontendCounter.refused), 1)
    t.match(logged, [{ message: 'WebSocket closed: too many invalid messages' }])
  },
)

t.test('a message that is too long, or a malformed frame, closes the socket', async t => {
  const { engine, open } = await start(t)
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId))
  await a.message(isUpdate)
  a.send('x'.repeat(WEBSOCKET_MESSAGE_BYTES_MAX + 1))
  await a.closed
  await until(() => totals(engine).peers[2] === 0)
  const b = await open()
  const { _socket: raw } = b.socket as unknown as { _socket: ReturnType<typeof connect> }
  raw.write(Buffer.alloc(32, 0xff))
  await b.closed
})

t.test('torrents are limited per socket and per address', async t => {
  const limits = { torrentsPerSocket: 3, torrentsPerAddress: 5 }
  const { engine, open } = await start(t, {}, { limits })
  const [a, b] = [await open(), await open()]
  const { peerId } = clientOf(1)
  for (let n = 0; n <= 3; n++) a.send(announceOf(hashOf(n), peerId))
  const refused = { 'failure reason': 'too many torrents on one connection' }
  t.match(await a.message(isFailure), { ...refused, info_hash: hashOf(3).toString('latin1') })
  for (let n = 10; n <= 12; n++) b.send(announceOf(hashOf(n), peerId))
  t.match(await b.message(isFailure), { ...refused, info_hash: hashOf(12).toString('latin1') })
  t.equal(totals(engine).peers[2], 5)
  a.send(announceOf(hashOf(0), peerId, { event: 'stopped' }))
  await until(() => totals(engine).peers[2] === 4)
  b.send(announceOf(hashOf(12), peerId))
  await until(() => totals(engine).peers[2] === 5)
})

t.test('one torrent takes only a few peer ids of one socket', async t => {
  const { engine, open } = await start(t)
  const a = await open()
  for (let n = 0; n < 20; n++) a.send(announceOf(hashOf(1), clientOf(n).peerId))
  await a.message(isFailure)
  t.ok(totals(engine).peers[2] <= PEER_IDS_PER_TORRENT_MAX, `${totals(engine).peers[2]} peers`)
})

t.test('sockets are limited per IPv4 address, and the refusal has the reason', async t => {
  const { count, engine, logged, open, port } = await start(
    t,
    {},
    { limits: { socketsPerAddress: 3 } },
  )
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId))
  await a.message(isUpdate)
  for (let n = 1; n < 3; n++) await open()
  await t.rejects(open(), { message: '429' })
  const { headers, status, text } = await upgradeRequest(port)
  t.equal(status, 429)
  t.match(text, /too many WebSockets from your address/)
  t.ok(Number(headers.get('retry-after')) > 0)
  t.equal(count(FrontendCounter.refused), 2)
  const message = 'WebSocket refused: too many from one address'
  t.match(logged, [{ message, fields: { address: '127.0.0.1' } }], 'one line for two refusals')
  a.socket.terminate()
  await until(() => totals(engine).peers[2] === 0)
  await open()
})

t.test('sockets are limited per IPv6 /64, and in a wider network four times that', async t => {
  const options = { trustedProxies: ['127.0.0.1'], limits: { socketsPerAddress: 2 } }
  const { open } = await start(t, {}, options)
  const from = (address: string) => open('/announce', { 'x-real-ip': address })
  await from('2001:db8:1:1::1')
  await from('2001:db8:1:1:ffff::2')
  await t.rejects(from('2001:db8:1:1::3'), { message: '429' })
  for (let n = 2; n <= 4; n++) {
    await from(`2001:db8:1:${n}::1`)
    await from(`2001:db8:1:${n}::2`)
  }
  await t.rejects(from('2001:db8:1:5::1'), { message: '429' })
  await from('2001:db8:2:1::1')
  await from('203.0.113.1')
  await t.rejects(from('not an address'), { message: '400' })
})

t.test('a socket that exceeds its rate is slowed, and every message is handled', async t => {
  const limits = { messages: { burst: 10, perSecond: 200 } }
  const { engine, open } = await start(t, {}, { limits })
  const a = await open()
  const { peerId } = clientOf(1)
  for (let n = 0; n < 60; n++) a.send(announceOf(hashOf(n), peerId))
  for (let n = 0; n < 60; n++) await a.message(isUpdate)
  t.equal(totals(engine).peers[2], 60)
})

t.test(
  'messages beyond those that may wait are dropped, and a flood closes the socket',
  async t => {
    const limits = { messages: { burst: 20, perSecond: 1 } }
    const { logged, open } = await start(t, {}, { limits })
    const a = await open()
    const { peerId } = clientOf(1)
    const offers = [{ offer: { type: 'offer', sdp: 'x'.repeat(16_000) }, offer_id: 'o' }]
    for (let n = 0; n < 90; n++) a.send(announceOf(hashOf(n), peerId, { offers }))
    t.match(await a.message(isFailure), { 'failure reason': /too many messages/ })
    for (let n = 0; n < 30; n++) a.send(announceOf(hashOf(n), peerId, { offers }))
    t.equal(await a.closed, 1008)
    t.match(logged, [{ message: 'WebSocket closed: too many messages' }])
  },
)

t.test('a slow reader is not given more offers, and stays', async t => {
  const { count, engine, open } = await start(t)
  const infoHash = hashOf(1)
  const slow = await open()
  slow.send(announceOf(infoHash, clientOf(1).peerId))
  await slow.message(isUpdate)
  const { _socket: raw } = slow.socket as unknown as { _socket: ReturnType<typeof connect> }
  raw.pause()
  // Many makers, so that no rate of one of them protects the reader.
  const offer = { offer: { type: 'offer', sdp: 'x'.repeat(16_000) }, offer_id: 'o'.repeat(20) }
  for (let n = 0; n < 400; n++) {
    const a = await open()
    a.send(
      announceOf(infoHash, clientOf(10 + n).peerId, {
        numwant: 1,
        offers: [offer, offer, offer, offer, offer],
      }),
    )
    await a.message(isUpdate)
    a.send(announceOf(infoHash, clientOf(10 + n).peerId, { event: 'stopped' }))
    await a.message(isUpdate)
    a.socket.close()
  }
  t.ok(count(FrontendCounter.dropped) > 0, `${count(FrontendCounter.dropped)} dropped`)
  t.equal(totals(engine).peers[2], 1, 'the slow reader is still in the swarm')
  t.equal(slow.socket.readyState, slow.socket.OPEN)
})

t.test('a flood of offers does not silence an honest maker', async t => {
  const { open } = await start(t)
  const infoHash = hashOf(1)
  const [seeder, honest, evil] = [await open(), await open(), await open()] as const
  const ids = [1, 2, 3].map(n => clientOf(n).peerId) as [Buffer, Buffer, Buffer]
  seeder.send(announceOf(infoHash, ids[0], { left: 0 }))
  await seeder.message(isUpdate)
  honest.send(announceOf(infoHash, ids[1], { offers: offersOf('honest', 1) }))
  const offer = await seeder.message(isOffer)
  let passed = 0
  for (let n = 0; n < 600; n++) {
    evil.send(announceOf(infoHash, ids[2], { offers: offersOf(`evil${n}`, 2) }))
    await evil.message(isUpdate)
  }
  honest.send(announceOf(infoHash, ids[1], { offers: offersOf('again', 2) }))
  const isAgain = (message: Json) => isOffer(message) && JSON.stringify(message).includes('again')
  seeder.send(answerTo(await seeder.message(isAgain), ids[0]))
  await honest.message(isAnswer)
  seeder.send(answerTo(offer, ids[0]))
  t.match(await honest.message(isAnswer), { offer_id: 'honest-0'.padEnd(20, '.') })
  passed = seeder.received.filter(isOffer).length
  t.ok(passed <= 40, `the seeder was sent ${passed} of 600 offers`)
})

t.test('many sockets of one address do not silence another one of that address', async t => {
  const { open } = await start(t)
  const infoHash = hashOf(1)
  const [seeder, honest] = [await open(), await open()] as const
  const [seederId, honestId] = [clientOf(1).peerId, clientOf(2).peerId]
  seeder.send(announceOf(infoHash, seederId, { left: 0 }))
  await seeder.message(isUpdate)
  for (let n = 0; n < 40; n++) {
    const evil = await open()
    const evilId = clientOf(10 + n).peerId
    for (let k = 0; k < 20; k++) {
      evil.send(announceOf(infoHash, evilId, { offers: offersOf(`evil${n}-${k}`, 1) }))
      await evil.message(isUpdate)
    }
    evil.send(announceOf(infoHash, evilId, { event: 'stopped' }))
    await evil.message(isUpdate)
  }
  honest.send(announceOf(infoHash, honestId, { offers: offersOf('honest', 1) }))
  const isHonest = (message: Json) => isOffer(message) && JSON.stringify(message).includes('honest')
  seeder.send(answerTo(await seeder.message(isHonest), seederId))
  t.match(await honest.message(isAnswer), { offer_id: 'honest-0'.padEnd(20, '.') })
})

t.test('a peer does not outlive its connection, whatever refuses its stopped', async t => {
  const { engine, open } = await start(t, { whitelist: true })
  const a = await open()
  const { peerId } = clientOf(1)
  const { whitelist } = engine.access
  for (const n of [1, 2]) setValue(whitelist, bytesOf(new Uint8Array(hashOf(n))).view, 0, 1)
  for (const n of [1, 2]) {
    a.send(announceOf(hashOf(n), peerId))
    await a.message(isUpdate)
  }
  for (const n of [1, 2]) removeValue(whitelist, bytesOf(new Uint8Array(hashOf(n))).view, 0)
  a.send(announceOf(hashOf(1), peerId, { event: 'stopped' }))
  await until(() => totals(engine).peers[2] === 1)
  a.socket.close()
  await until(() => totals(engine).peers[2] === 0)
})

t.test(
  'a peer that starts again before its stopped is answered is removed with its socket',
  async t => {
    const { engine, open } = await start(t)
    const a = await open()
    const { peerId } = clientOf(1)
    for (let n = 0; n < 5; n++) {
      a.send(announceOf(hashOf(1), peerId))
      a.send(announceOf(hashOf(1), peerId, { event: 'stopped' }))
    }
    a.send(announceOf(hashOf(1), peerId))
    for (let n = 0; n < 11; n++) await a.message(isUpdate)
    t.equal(totals(engine).peers[2], 1)
    a.socket.terminate()
    await until(() => totals(engine).peers[2] === 0)
  },
)

t.test('idle sockets are pinged', async t => {
  const { open } = await start(t, {}, { limits: { pingInterval: 1 } })
  const a = await open()
  let pings = 0
  a.socket.on('ping', () => pings++)
  await until(() => pings >= 2)
  t.equal(a.socket.readyState, a.socket.OPEN)
})

t.test('a server that hands over keeps its WebSockets until they are closed', async t => {
  const { engine, open, server } = await start(t)
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId))
  await a.message(isUpdate)
  await server.handOver()
  t.equal(server.webSockets, 1)
  a.send(announceOf(hashOf(2), clientOf(1).peerId))
  await a.message(isUpdate)
  t.equal(totals(engine).peers[2], 2)
  server.closeWebSockets()
  t.equal(await a.closed, 1012)
  t.equal(server.webSockets, 0)
})

t.test('a clean stop closes sockets with 1012', async t => {
  const { engine, open, tracker } = await start(t)
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId))
  await a.message(isUpdate)
  tracker.closeSockets()
  t.equal(await a.closed, 1012)
  await until(() => tracker.inFlight === 0)
  t.equal(totals(engine).peers[2], 0)
})

t.test(
  'a listener serves WebSockets only where they are enabled, and HTTP beside them',
  async t => {
    const without = await start(t, {}, { websocket: false })
    await t.rejects(without.open(), { message: /^(200|404)$/ })
    const { port } = await start(t)
    const answer = await fetch(`http://127.0.0.1:${port}/announce`)
    t.match(await answer.text(), /failure reason/)
    t.equal((await fetch(`http://127.0.0.1:${port}/nothing`)).status, 404)
  },
)
