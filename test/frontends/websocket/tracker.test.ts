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
import { totals } from '../../../src/engine/totals.ts'
import { type HttpServerOptions, startHttpServer } from '../../../src/frontends/http/server.ts'
import {
  BAD_MESSAGE_COST,
  MESSAGES_AT_ONCE_MAX,
  SOCKETS_PER_ADDRESS_MAX,
  TORRENTS_PER_SOCKET_MAX,
} from '../../../src/frontends/websocket/limits.ts'
import { startWebsocketTracker } from '../../../src/frontends/websocket/tracker.ts'
import { connectPortLink, servePort } from '../../../src/link/port.ts'
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
  offersOf,
  openWebsocket,
  scrapeOf,
} from '../../fixtures/websocket-client.ts'

/** Resolves once it `holds`. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** A tracker on an engine in this thread. */
async function start(
  t: Test,
  rules: Partial<AccessRules> = {},
  options: Partial<HttpServerOptions> = {},
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
  const tracker = await startWebsocketTracker({ worker: 0, relayPath: undefined }, link, counters)
  const listener = { ...listenerOn('127.0.0.1', 0), ...options }
  const server = await startHttpServer(listener, link, counters, tracker)
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
    open: (path = '/announce') => openWebsocket(t, `ws://127.0.0.1:${server.port}${path}`),
  }
}

t.test('an offer reaches a peer, and its answer who made it', async t => {
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

t.test('only who was passed an offer answers it, once, and to who made it', async t => {
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

t.test('peers are left with their torrents, and sockets are cleaned up after', async t => {
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
})

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

t.test('keys of the path hold for what is announced', async t => {
  const { failures, open } = await start(
    t,
    { keys: true },
    { pathRules: { keys: true, users: false } },
  )
  for (const [path, reason] of [
    ['/', 'missing key'],
    ['/announce/short', 'invalid key: not 40 hexadecimal digits'],
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

t.test('what cannot be read is told so, and a flood of it closes the socket', async t => {
  const { count, open } = await start(t)
  const a = await open()
  a.send('{')
  t.match(await a.message(isFailure), { 'failure reason': 'invalid JSON', 'retry in': 'never' })
  for (let n = 0; n < MESSAGES_AT_ONCE_MAX / BAD_MESSAGE_COST + 5; n++) a.send('{')
  t.equal(await a.closed, 1008)
  t.equal(count(FrontendCounter.refused), 1)
})

t.test('a message that is too long, or no WebSocket frame, closes the socket', async t => {
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

t.test('a socket has so many torrents and no more, an address so many sockets', async t => {
  const { count, engine, open } = await start(t)
  const a = await open()
  const { peerId } = clientOf(1)
  for (let n = 0; n <= TORRENTS_PER_SOCKET_MAX; n++) a.send(announceOf(hashOf(n), peerId))
  t.match(await a.message(isFailure), {
    'failure reason': 'too many torrents on one connection',
    info_hash: hashOf(TORRENTS_PER_SOCKET_MAX).toString('latin1'),
  })
  await until(() => totals(engine).peers[2] === TORRENTS_PER_SOCKET_MAX)
  for (let n = 1; n < SOCKETS_PER_ADDRESS_MAX; n++) await open()
  await t.rejects(open(), { message: '429' })
  t.equal(count(FrontendCounter.refused), 1)
  a.socket.terminate()
  await until(() => totals(engine).peers[2] === 0)
  await open()
})

t.test('a reader that is too slow is closed', async t => {
  const { engine, open } = await start(t)
  const infoHash = hashOf(1)
  const slow = await open()
  slow.send(announceOf(infoHash, clientOf(1).peerId))
  await slow.message(isUpdate)
  const { _socket: raw } = slow.socket as unknown as { _socket: ReturnType<typeof connect> }
  raw.pause()
  const a = await open()
  const offer = { offer: { type: 'offer', sdp: 'x'.repeat(100_000) }, offer_id: 'o'.repeat(20) }
  let sent = 0
  do {
    a.send(announceOf(infoHash, clientOf(2).peerId, { offers: [offer] }))
    await a.message(isUpdate)
  } while (++sent < MESSAGES_AT_ONCE_MAX && totals(engine).peers[2] !== 1)
  t.equal(totals(engine).peers[2], 1, `its peer is gone after ${sent} offers`)
})

t.test('a clean stop sends clients away with 1012', async t => {
  const { engine, open, tracker } = await start(t)
  const a = await open()
  a.send(announceOf(hashOf(1), clientOf(1).peerId))
  await a.message(isUpdate)
  tracker.closeSockets()
  t.equal(await a.closed, 1012)
  await until(() => tracker.inFlight === 0)
  t.equal(totals(engine).peers[2], 0)
})

t.test('a listener can serve none, and answers HTTP beside it where it does', async t => {
  const without = await start(t, {}, { websocket: false })
  await t.rejects(without.open(), { message: /^(200|404)$/ })
  const { port } = await start(t)
  const answer = await fetch(`http://127.0.0.1:${port}/announce`)
  t.match(await answer.text(), /failure reason/)
  t.equal((await fetch(`http://127.0.0.1:${port}/nothing`)).status, 404)
})
