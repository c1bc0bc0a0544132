import t, { type Test } from 'tap'
import { getBencoded, scrapeCounts } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { startTracker, type Tracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import {
  announceOf,
  answerTo,
  isAnswer,
  isOffer,
  isUpdate,
  offersOf,
  openWebsocket,
  type WebsocketClient,
} from '../fixtures/websocket-client.ts'
import { workerOf } from './fixtures/worker-of-socket.ts'

const infoHash = hashOf(1)

/** Sockets of both workers with their workers' pids. */
async function socketsOfBothWorkers(
  t: Test,
  tracker: Tracker,
): Promise<Map<number, WebsocketClient>> {
  const url = `${tracker.url().replace('http', 'ws')}/announce`
  const found = new Map<number, WebsocketClient>()
  while (found.size < 2) {
    const client = await openWebsocket(t, url)
    const worker = workerOf(tracker, client.port)
    if (worker === undefined) throw new Error(`no worker has the other end of port ${client.port}`)
    found.set(worker, client)
  }
  return found
}

t.test(
  'peers of two workers connect; peers of a killed worker are removed and can return',
  async t => {
    const tracker = await startTracker(t, {
      udp_server: [],
      frontend: { workers: 2 },
      engine: { threads: 2 },
    })
    const sockets = await socketsOfBothWorkers(t, tracker)
    const [[victim, a], [, b]] = [...sockets] as [
      [number, WebsocketClient],
      [number, WebsocketClient],
    ]
    const [first, second] = [clientOf(1), clientOf(2)]
    await getBencoded(tracker.url(), announceTarget(2, 1))

    a.send(announceOf(infoHash, first.peerId, { left: 0 }))
    await a.message(isUpdate)
    b.send(announceOf(infoHash, second.peerId, { offers: offersOf('b', 3) }))
    const offer = await a.message(isOffer)
    t.match(offer, { peer_id: second.peerId.toString('latin1'), offer: { sdp: /of b$/ } })
    a.send(answerTo(offer, first.peerId))
    t.match(await b.message(isAnswer), { peer_id: first.peerId.toString('latin1') })

    const before = await scrapeCounts(tracker.url(), infoHash)
    process.kill(victim, 'SIGKILL')
    await a.closed
    const counts = () => scrapeCounts(tracker.url(), infoHash)
    // A connection that the dead worker had not accepted yet is reset.
    while (JSON.stringify(await counts().catch(() => before)) === JSON.stringify(before)) {
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    const again = await openWebsocket(t, `${tracker.url().replace('http', 'ws')}/announce`)
    again.send(announceOf(infoHash, first.peerId, { left: 0, offers: offersOf('a', 1) }))
    await again.message(isUpdate)
    t.same(await counts(), before)
    t.match(await b.message(isOffer), { peer_id: first.peerId.toString('latin1') })

    const stopped = tracker.stop()
    t.equal(await b.closed, 1012, 'clients are told to come back')
    t.equal(await again.closed, 1012)
    t.equal(await stopped, 0)
  },
)
