import t, { type Test } from 'tap'
import { workerOf } from '../e2e/fixtures/worker-of-socket.ts'
import { TOKEN } from '../fixtures/admin-client.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
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
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, scrape, startNode, until } from './fixtures/node.ts'

const infoHash = hashOf(1)
const idOf = (n: number) => clientOf(n).peerId

/** A browser's socket, and its peer in the swarm. */
type Browser = WebsocketClient & { readonly number: number; readonly left: number }

async function open(t: Test, node: Tracker, number: number, left: number): Promise<Browser> {
  const client = await openWebsocket(t, `${node.url().replace('http', 'ws')}/announce`)
  const browser = { ...client, number, left }
  await announce(browser, 0)
  return browser
}

async function announce({ left, message, number, send }: Browser, offers: number) {
  send(announceOf(infoHash, idOf(number), { left, offers: offersOf(`${number}`, offers) }))
  return message(isUpdate)
}

const isOf = (field: string, number: number) => (message: Record<string, unknown>) =>
  message[field] === idOf(number).toString('latin1')

/** The maker sends offers until the target receives one; the answer then comes back. */
async function connect(maker: Browser, target: Browser): Promise<void> {
  const isFromMaker = isOf('peer_id', maker.number)
  const isHere = () => target.received.some(message => isOffer(message) && isFromMaker(message))
  await until(async () => {
    await announce(maker, 10)
    return isHere()
  }, `an offer of ${maker.number} to ${target.number}`)
  const offer = await target.message(message => isOffer(message) && isFromMaker(message))
  target.send(answerTo(offer, idOf(target.number)))
  const isFromTarget = isOf('peer_id', target.number)
  await maker.message(message => isAnswer(message) && isFromTarget(message))
}

/** Opens sockets to a node until both of its workers have one. */
async function openOnBoth(t: Test, node: Tracker, first: number): Promise<Browser[]> {
  const found = new Map<number, Browser>()
  for (let number = first; found.size < 2; number++) {
    const browser = await open(t, node, number, 1000)
    const worker = workerOf(node, browser.port)
    if (worker === undefined || found.has(worker)) browser.socket.close()
    else found.set(worker, browser)
  }
  return [...found.values()]
}

const haveCounts = (nodes: readonly Tracker[], seeders: number, leechers: number) =>
  until(async () => {
    const counts = await Promise.all(nodes.map(node => scrape(node, infoHash)))
    return counts.every(found => found.seeders === seeders && found.leechers === leechers)
  }, `${seeders} seeders and ${leechers} leechers`)

async function metric(node: Tracker, line: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${node.port('api')}/metrics`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const found = (await answer.text()).split('\n').find(each => each.startsWith(line))
  return Number(found?.split(' ').at(-1))
}

t.test('browsers on two nodes exchange offers and answers', { skip: withoutNats }, async t => {
  const [nats] = await startNatsServers(t, 1)
  const servers = [nats?.url ?? '']
  const folder = temporaryFolder(t)
  const config = {
    api_server: [{ bind_address: '127.0.0.1:0' }],
    tracker_config: { api_key: TOKEN },
    frontend: { workers: 0 },
  }
  const startA = () => startNode(t, { name: 'a', servers, folder, config })
  const [first, b] = await Promise.all([
    startA(),
    startNode(t, { name: 'b', servers, config: { frontend: { workers: 2 } } }),
  ])
  let a = first
  await Promise.all([joined(a, 1), joined(b, 1)])

  const seeder = await open(t, a, 1, 0)
  const leechers = await openOnBoth(t, b, 10)
  const [one, two] = leechers as [Browser, Browser]
  await haveCounts([a, b], 1, 2)
  for (const leecher of leechers) {
    await connect(leecher, seeder)
    await connect(seeder, leecher)
  }
  await connect(one, two)
  const relayed = 'muster_nodes_relayed_total{direction="received"}'
  await until(async () => (await metric(a, relayed)) >= 4, 'the metrics count the messages')

  two.socket.close()
  await haveCounts([a, b], 1, 1)
  seeder.socket.close()
  await haveCounts([a, b], 0, 1)

  const killed = await open(t, a, 2, 0)
  await haveCounts([a, b], 1, 1)
  await a.stop('SIGKILL')
  await killed.closed
  t.match(await announce(one, 10), { interval: 120 }, 'offers for a dead node are lost')
  await haveCounts([b], 0, 1)
  a = await startA()
  await joined(a, 1)
  const back = await open(t, a, 2, 0)
  await connect(back, one)
  await connect(one, back)

  await nats?.signal('SIGKILL')
  const local = await open(t, b, 3, 0)
  await connect(one, local)
  await connect(local, one)
  await haveCounts([a], 1, 0)
  await haveCounts([b], 1, 1)
  back.socket.close()
  await nats?.start()
  await haveCounts([a, b], 1, 1)
  const last = await open(t, a, 4, 1000)
  await connect(local, last)
  await connect(last, local)
  const stopped = a.stop()
  t.equal(await last.closed, 1012)
  await haveCounts([b], 1, 1)
  t.equal(await stopped, 0)
  t.equal(await b.stop(), 0)
})
