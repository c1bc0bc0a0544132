import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import {
  type ApiNode,
  listedTorrent,
  metricOf,
  startApiNode,
  swarmOf,
} from './fixtures/api-node.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { announce, joined, until } from './fixtures/node.ts'

const SHIFTED_CLOCK = fileURLToPath(new URL('./fixtures/shifted-clock.js', import.meta.url))
const SECONDS = 60
/** Announces of one client to two nodes have an order if they are in different seconds. */
const ORDER_MILLIS = 2100
const INFO_HASH = Buffer.alloc(20, 77)

/** Starts a node whose clock is ahead. */
function startShifted(t: Test, name: string, server: string, seconds: number, folder: string) {
  const environment = {
    CLOCK_SECONDS: String(seconds),
    NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`,
  }
  return startApiNode(t, { name, servers: [server], folder }, { environment })
}

const peer = (n: number) => ({
  infoHash: INFO_HASH,
  peerId: `-MU0300-${String(n).padStart(12, '0')}`,
  port: 3000 + n,
})

async function portsOf(node: ApiNode): Promise<string> {
  const lines = await swarmOf(node, [INFO_HASH])
  return lines
    .flatMap(line => line.match(/:(\d+)$/)?.[1] ?? [])
    .sort()
    .join()
}

for (const seconds of [SECONDS, -SECONDS]) {
  const where = seconds > 0 ? 'ahead' : 'behind'
  t.test(`a node whose clock is a minute ${where}`, { skip: withoutNats }, async t => {
    const [nats] = await startNatsServers(t, 1)
    const server = nats?.url ?? ''
    const folder = temporaryFolder(t)
    const [a, first] = await Promise.all([
      startApiNode(t, { name: 'a', servers: [server] }),
      startShifted(t, 'b', server, seconds, folder),
    ])
    let b = first
    await Promise.all([joined(a.tracker, 1), joined(b.tracker, 1)])

    const both = async (ports: number[], what: string) => {
      for (const node of [a, b])
        await until(async () => (await portsOf(node)) === ports.join(), what)
    }
    const warning = await a.tracker.line(({ msg }) => msg.startsWith('the clock of a node differs'))
    t.match(warning, { node: 'b', level: 40 })
    t.ok(Math.abs(Number(warning['seconds']) - seconds) < 10, 'the warning has the seconds')
    await until(async () => {
      const shown = await metricOf(a, 'muster_nodes_clock_seconds{node="b"}')
      return Math.abs(shown - seconds) < 10
    }, 'so does the metric')

    await announce(a.tracker, peer(1))
    await announce(b.tracker, peer(2))
    await announce(b.tracker, peer(3))
    await announce(a.tracker, peer(4))
    await both([3001, 3002, 3003, 3004], 'peers of both nodes are on both')
    const { seeds } = await listedTorrent(a, INFO_HASH)
    const ages = seeds.map(({ updated }) => Date.now() - updated)
    t.ok(
      ages.every(age => age > -2000),
      'no peer was seen in the future',
    )

    await sleep(ORDER_MILLIS)
    await announce(a.tracker, { ...peer(2), event: 'stopped' })
    await announce(b.tracker, { ...peer(1), event: 'stopped' })
    await both([3003, 3004], 'a peer can stop at the other node')
    await sleep(ORDER_MILLIS)
    await announce(a.tracker, { ...peer(1), event: 'started' })
    await both([3001, 3003, 3004], 'and return')

    t.equal(await b.tracker.stop(), 0)
    await announce(a.tracker, peer(5))
    b = await startShifted(t, 'b', server, seconds, folder)
    await joined(b.tracker, 1)
    await both([3001, 3003, 3004, 3005], 'a restarted node has what it missed')
  })
}
