import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { sum } from '../../bench/measure.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import {
  type ApiNode,
  downloadsOf,
  equalSwarms,
  MISSED_SHARE,
  metricOf,
  startApiNode,
  swarmOf,
} from './fixtures/api-node.ts'
import { TORRENTS } from './fixtures/load.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, until } from './fixtures/node.ts'
import { UdpLoad } from './fixtures/udp-load.ts'

/** Longer than every timeout of the connection, and than the silence after which a node is down. */
const AWAY_SECONDS = Number(process.env['SERVERS_AWAY_SECONDS'] ?? 15)
/** The first node announces more than its backlog of 1 MiB holds. */
const RATES = [2000, 300, 300]

t.test('no server answers for longer than all timeouts', { skip: withoutNats }, async t => {
  const servers = await startNatsServers(t, 3)
  const folders = RATES.map(() => temporaryFolder(t))
  const start = (n: number) =>
    startApiNode(t, {
      name: 'abc'[n] as string,
      servers: servers.map(({ url }) => url),
      nodes: { backlog: 1 },
      folder: folders[n] as string,
    })
  const nodes = await Promise.all(RATES.map((_, n) => start(n)))
  const [a] = nodes as [ApiNode, ApiNode, ApiNode]
  await Promise.all(nodes.map(({ tracker }) => joined(tracker, 2)))
  const loads = nodes.map(({ tracker }, n) => new UdpLoad(t, tracker, n * 1e6, RATES[n] as number))
  await until(() => loads.every(({ done }) => done > 300), 'the load has begun')

  const begun = performance.now()
  // Servers that hang are noticed later than servers that are killed.
  for (const server of servers) await server.signal('SIGSTOP')
  await Promise.all(
    nodes.map(({ tracker }) => tracker.line(({ msg }) => msg.startsWith('not connected'))),
  )
  await until(
    async () => (await metricOf(a, 'muster_nodes_dropped_total')) > 0,
    'the backlog of the first node is full',
  )
  t.equal(await metricOf(a, 'muster_nodes_connected'), 0)

  // A node that restarts meanwhile has its own swarm.
  await loads[2]?.stop()
  t.equal(await nodes[2]?.tracker.stop(), 0)
  nodes[2] = await start(2)
  await nodes[2].tracker.line(({ msg }) => msg === 'joined without the swarms of other nodes')
  loads.push(new UdpLoad(t, nodes[2].tracker, 3e6, RATES[2] as number))
  await until(() => (loads[3]?.done ?? 0) > 300, 'the restarted node serves')
  await sleep(Math.max(0, AWAY_SECONDS * 1000 - (performance.now() - begun)))

  for (const server of servers) {
    await server.signal('SIGKILL')
    await server.start()
  }
  const done = loads.map(load => load.done)
  await until(
    () => [0, 1, 3].every(n => (loads[n]?.done ?? 0) > (done[n] as number) + 300),
    'the load goes on while the nodes merge',
  )
  await Promise.all(loads.map(load => load.stop()))
  t.strictSame(
    loads.map(({ failed }) => failed),
    [0, 0, 0, 0],
    'no announce failed',
  )
  await equalSwarms(nodes, TORRENTS, 'all nodes are equal', MISSED_SHARE)
  const swarm = await swarmOf(a, TORRENTS)
  t.ok(swarm.length > 5000, `${swarm.length} peers`)
  const downloads = sum(await downloadsOf(a, TORRENTS))
  t.ok(downloads >= (loads[0]?.completed ?? 0), 'a node counts the downloads that it received')
  t.ok(downloads <= sum(loads.map(({ completed }) => completed)), 'each download counts once')
})
