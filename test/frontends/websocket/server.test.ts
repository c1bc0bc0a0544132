import { MessageChannel } from 'node:worker_threads'
import t, { type Test } from 'tap'
import type { AccessRules } from '../../../src/engine/access.ts'
import { answer, answerBytesMax } from '../../../src/engine/engine.ts'
import { totals } from '../../../src/engine/totals.ts'
import { createFrontendCounters } from '../../../src/frontends/counters.ts'
import { startHttpServer } from '../../../src/frontends/http/server.ts'
import { startWebsocketTracker } from '../../../src/frontends/websocket/server.ts'
import { connectPortLink, servePort } from '../../../src/link/port.ts'
import { listenerOn } from '../../cluster/fixtures/engine-start.ts'
import { clientOf, hashOf, NOW, newEngine } from '../../fixtures/tracker-client.ts'
import {
  announceOf,
  answerTo,
  isAnswer,
  isOffer,
  isUpdate,
  offersOf,
  openWebsocket,
} from '../../fixtures/websocket-client.ts'

/** A tracker on an engine in this thread. */
async function start(t: Test, rules: Partial<AccessRules> = {}) {
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
  const listener = listenerOn('127.0.0.1', 0)
  const server = await startHttpServer(listener, link, counters, tracker)
  t.teardown(async () => {
    server.close()
    await tracker.close()
    link.close()
  })
  return {
    engine,
    counters,
    tracker,
    open: (path = '/announce') => openWebsocket(t, `ws://127.0.0.1:${server.port}${path}`),
  }
}

t.test('an offer reaches a peer, and its answer who made it', async t => {
  const { engine, open } = await start(t)
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
  while (totals(engine).peers[2] > 1) await new Promise(resolve => setTimeout(resolve, 5))
  t.same(a.received, [])
})
