import t from 'tap'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { areEqual, Load } from './fixtures/load.ts'
import { type NatsServer, startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, startNode, until } from './fixtures/node.ts'
import { gained, startThree } from './fixtures/three-nodes.ts'

/** The server that a node uses. Each node chooses one at random. */
function serverOf(node: Tracker, servers: readonly NatsServer[]): NatsServer | undefined {
  const line = node.log.filter(({ msg }) => msg === 'connected to NATS').at(-1)
  return servers.find(({ port }) => String(line?.['server']).endsWith(`:${port}`))
}

t.test('NATS servers that die or hang are replaced by others', { skip: withoutNats }, async t => {
  const servers = await startNatsServers(t, 3)
  const { nodes } = await startThree(
    t,
    servers.map(({ url }) => url),
  )
  const loads = nodes.map((_, n) => new Load(t, () => nodes[n] as Tracker, n * 1e6))
  const [a, b] = nodes as [Tracker, Tracker]
  await gained(loads, 30)
  const killed = serverOf(a, servers)
  await killed?.signal('SIGKILL')
  await gained(loads, 60)
  await until(() => serverOf(b, servers) !== killed, 'no node uses the killed server')
  const hung = serverOf(b, servers)
  await hung?.signal('SIGSTOP')
  await gained(loads, 60)
  await until(() => serverOf(b, servers) !== hung, 'the node of the hung server uses another one')
  await hung?.signal('SIGCONT')
  await Promise.all(loads.map(load => load.stop()))
  t.strictSame(
    loads.map(({ failed }) => failed),
    [0, 0, 0],
  )
  await until(() => areEqual(nodes), 'all nodes are equal')
})

t.test(
  'without any NATS server the nodes go on, and merge later',
  { skip: withoutNats },
  async t => {
    const servers = await startNatsServers(t, 1)
    const { nodes } = await startThree(
      t,
      servers.map(({ url }) => url),
    )
    const loads = nodes.map((_, n) => new Load(t, () => nodes[n] as Tracker, n * 1e6))
    await gained(loads, 30)
    for (const server of servers) await server.signal('SIGKILL')
    await gained(loads, 100)
    t.notOk(await areEqual(nodes), 'they grow apart')
    for (const server of servers) await server.start()
    await gained(loads, 30)
    await Promise.all(loads.map(load => load.stop()))
    t.strictSame(
      loads.map(({ failed }) => failed),
      [0, 0, 0],
    )
    await until(() => areEqual(nodes), 'all nodes are equal')
  },
)

t.test(
  'a node that starts without a NATS server is ready later',
  { skip: withoutNats },
  async t => {
    const [server] = await startNatsServers(t, 1)
    await server?.signal('SIGKILL')
    const servers = [server?.url ?? '']
    const [a, b] = await Promise.all([
      startNode(t, { name: 'a', servers, nodes: { join_timeout: 2 } }),
      startNode(t, { name: 'b', servers, nodes: { join_timeout: 2 } }),
    ])
    const loads = [new Load(t, () => a, 0), new Load(t, () => b, 1e6)]
    await a.line(({ msg }) => msg === 'joined without the swarms of other nodes')
    await gained(loads, 20)
    await server?.start()
    await Promise.all([joined(a, 1), joined(b, 1)])
    await Promise.all(loads.map(load => load.stop()))
    await until(() => areEqual([a, b]), 'both nodes are equal')
  },
)
