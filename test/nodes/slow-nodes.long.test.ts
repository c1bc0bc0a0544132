import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { sum } from '../../bench/measure.ts'
import {
  type ApiNode,
  downloadsOf,
  equalSwarms,
  MISSED_SHARE,
  metricOf,
  startApiNode,
} from './fixtures/api-node.ts'
import { CuttingProxy } from './fixtures/cutting-proxy.ts'
import { TORRENTS } from './fixtures/load.ts'
import { type NatsServer, startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, until } from './fixtures/node.ts'
import { UdpLoad } from './fixtures/udp-load.ts'

const RATE = 500
const STOPPED_MILLIS = 10_000
/** Less than the announces of the other nodes need. */
const SLOW_BYTES_PER_SECOND = 10_000

type Three = readonly [a: ApiNode, b: ApiNode, c: ApiNode]

/** Starts nodes a and b, and c whose server has another address. */
async function startThree(t: Test, server: NatsServer, serverOfC: string): Promise<Three> {
  const start = (name: string, url: string) => startApiNode(t, { name, servers: [url] })
  const nodes = await Promise.all([
    start('a', server.url),
    start('b', server.url),
    start('c', serverOfC),
  ])
  await Promise.all(nodes.map(({ tracker }) => joined(tracker, 2)))
  return nodes
}

const lagOf = (node: ApiNode, of: string) =>
  metricOf(node, `muster_nodes_lag_seconds{node="${of}"}`)

/** Stops the loads, and checks the nodes that were not slow. */
async function finish(t: Test, loads: readonly UdpLoad[], others: readonly ApiNode[]) {
  await Promise.all(loads.map(load => load.stop()))
  t.strictSame(
    loads.map(({ failed }) => failed),
    loads.map(() => 0),
    'no announce failed',
  )
  await equalSwarms(others, TORRENTS, 'the other nodes are equal')
  for (const [n, node] of others.entries()) {
    const downloads = sum(await downloadsOf(node, TORRENTS))
    t.ok(downloads >= (loads[n]?.completed ?? 0), 'a node counts the downloads that it received')
    t.ok(downloads <= sum(loads.map(({ completed }) => completed)), 'each download counts once')
  }
}

t.test('a node that is stopped for ten seconds under load', { skip: withoutNats }, async t => {
  const [server] = (await startNatsServers(t, 1)) as [NatsServer]
  const nodes = await startThree(t, server, server.url)
  const [a, b, c] = nodes
  const loads = [a, b].map(({ tracker }, n) => new UdpLoad(t, tracker, n * 1e6, RATE))
  await until(() => loads.every(({ done }) => done > 1000), 'the load has begun')
  const begun = performance.now()
  process.kill(c.tracker.pid, 'SIGSTOP')
  await Promise.all(
    [a, b].map(({ tracker }) =>
      tracker.line(({ msg, node }) => msg.startsWith('a node is silent') && node === 'c'),
    ),
  )
  const before = loads.map(({ done }) => done)
  await until(
    () => loads.every(({ done }, n) => done > (before[n] as number) + 1000),
    'the other nodes go on',
  )
  await sleep(Math.max(0, STOPPED_MILLIS - (performance.now() - begun)))
  const lines = a.tracker.log.length
  process.kill(c.tracker.pid, 'SIGCONT')
  await a.tracker.line(({ msg, node }) => msg === 'a node is up' && node === 'c', lines)
  await finish(t, loads, [a, b])
  await equalSwarms(nodes, TORRENTS, 'the node that was stopped has all', MISSED_SHARE)
  t.ok((await lagOf(c, 'a')) >= 0, 'it shows its lag')
})

t.test('a node with a slow network', { skip: withoutNats }, async t => {
  const [server] = (await startNatsServers(t, 1)) as [NatsServer]
  const proxy = await CuttingProxy.start(t, server.port)
  const nodes = await startThree(t, server, proxy.url)
  const [a, b, c] = nodes
  const loads = [a, b].map(({ tracker }, n) => new UdpLoad(t, tracker, n * 1e6, RATE))
  await until(() => loads.every(({ done }) => done > 500), 'the load has begun')
  proxy.bytesPerSecond = SLOW_BYTES_PER_SECOND
  // A server that answers no pings for three seconds is replaced, so the lag is not longer.
  await until(async () => (await lagOf(c, 'a')) > 1, 'the slow node shows its lag')
  await until(() => loads.every(({ done }) => done > 5000), 'the load goes on')
  proxy.restore()
  await finish(t, loads, [a, b])
  await equalSwarms(nodes, TORRENTS, 'the slow node has all', MISSED_SHARE)
})
