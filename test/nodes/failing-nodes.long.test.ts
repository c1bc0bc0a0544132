import t from 'tap'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { areEqual, Load } from './fixtures/load.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, until } from './fixtures/node.ts'
import { gained, startThree } from './fixtures/three-nodes.ts'

t.test(
  'a killed node does not disturb the others, and joins again',
  { skip: withoutNats },
  async t => {
    const [server] = await startNatsServers(t, 1)
    const { nodes, start } = await startThree(t, [server?.url ?? ''])
    const loads = [
      new Load(t, () => nodes[0] as Tracker, 0),
      new Load(t, () => nodes[1] as Tracker, 1e6),
    ]
    const killed = new Load(t, () => nodes[2] as Tracker, 2e6)
    await gained([...loads, killed], 50)
    await nodes[2]?.stop('SIGKILL')
    await killed.stop()
    await gained(loads, 100)
    nodes[2] = await start(2)
    await joined(nodes[2], 2)
    await Promise.all(loads.map(load => load.stop()))
    t.strictSame(
      loads.map(({ failed }) => failed),
      [0, 0],
      'no announce to another node failed',
    )
    await until(() => areEqual(nodes), 'all nodes are equal')
  },
)

t.test('a node that hangs for a while catches up', { skip: withoutNats }, async t => {
  const [server] = await startNatsServers(t, 1)
  const { nodes } = await startThree(t, [server?.url ?? ''])
  const [a, , c] = nodes as [Tracker, Tracker, Tracker]
  const load = new Load(t, () => a, 0)
  await gained([load], 20)
  process.kill(c.pid, 'SIGSTOP')
  await a.line(({ msg, node }) => msg.startsWith('a node is silent') && node === 'c')
  await gained([load], 100)
  process.kill(c.pid, 'SIGCONT')
  await load.stop()
  t.equal(load.failed, 0)
  await until(() => areEqual(nodes), 'all nodes are equal')
})
