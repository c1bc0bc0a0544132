import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { allocate } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { writeAnnounce } from '../fixtures/announce-request.ts'
import { beatUntil, settle, startNode, type TestNode } from './fixtures/exchange-node.ts'
import { MemoryHub } from './fixtures/memory-bus.ts'
import { until } from './fixtures/node.ts'

const request = allocate(256)
const nowSeconds = () => Math.floor(Date.now() / 1000)

function announce(node: TestNode, client: number, event: number = Event.none): void {
  const address = Buffer.alloc(4)
  address.writeUInt32BE(0x0a00_0000 + client)
  writeAnnounce(request, {
    infoHash: Buffer.alloc(20, 1 + (client % 5)),
    peerId: Buffer.from(String(client).padStart(20, '-')),
    address,
    event,
    left: client % 2,
  })
  node.engine.announce(request, nowSeconds())
}

const isEqual = (a: TestNode, b: TestNode) =>
  JSON.stringify(a.engine.swarm().peers) === JSON.stringify(b.engine.swarm().peers)

/** Beats and flushes until all nodes have the same peers. */
function equal(nodes: readonly TestNode[], what: string): Promise<void> {
  return beatUntil(nodes, () => nodes.every(node => isEqual(node, nodes[0] as TestNode)), what)
}

t.test('nodes that start together join, and a third one fetches what they know', async t => {
  const hub = new MemoryHub()
  const [a, b] = [startNode(hub, 'a'), startNode(hub, 'b')]
  await settle([a, b])
  for (let client = 0; client < 200; client++) announce(client % 2 ? a : b, client)
  await equal([a, b], 'two nodes are equal')
  t.equal(a.engine.swarm().peers.length, 200)
  t.equal(a.exchange.state().counters.gaps, 0, 'nothing was lost')
  const c = startNode(hub, 'c')
  t.notOk(c.exchange.state().joined, 'a new node has not joined')
  await settle([a, b, c])
  t.equal(c.engine.swarm().peers.length, 200, 'it has all when it has joined')
  announce(c, 1000)
  await equal([a, b, c], 'its own announces reach the others')
  t.equal(b.exchange.state().nodes.length, 2)
})

t.test('a lost batch is noticed, even if nothing follows, and fetched', async t => {
  const hub = new MemoryHub()
  const [a, b] = [startNode(hub, 'a'), startNode(hub, 'b')]
  await settle([a, b])
  announce(a, 1)
  announce(a, 2)
  await equal([a, b], 'two nodes are equal')
  hub.isLost = subject => subject.includes('swarm')
  announce(a, 3)
  announce(a, 2, Event.stopped)
  a.exchange.flush()
  hub.isLost = () => false
  await equal([a, b], 'what was lost is fetched')
  t.equal(b.engine.swarm().peers.length, 2, 'the stop too')
  const { counters } = b.exchange.state()
  t.ok(counters.gaps >= 1 && counters.transfers >= 1, JSON.stringify(counters))
})

t.test(
  'while the bus is away announces wait, and those beyond the backlog are fetched',
  async t => {
    for (const [backlog, isDropped] of [
      [2 ** 20, false],
      [2048, true],
    ] as const) {
      const hub = new MemoryHub()
      const [a, b] = ['a', 'b'].map(name => startNode(hub, name, { backlogBytesMax: backlog })) as [
        TestNode,
        TestNode,
      ]
      await settle([a, b])
      a.bus.isUp = false
      b.bus.isUp = false
      for (let client = 0; client < 300; client++) {
        announce(client % 3 ? a : b, client)
        if (client % 10 === 0) {
          a.exchange.flush()
          b.exchange.flush()
        }
      }
      t.ok(
        a.exchange.state().backlogBytes <= backlog,
        `${a.exchange.state().backlogBytes} bytes wait`,
      )
      a.bus.isUp = true
      b.bus.isUp = true
      a.exchange.connected()
      b.exchange.connected()
      await equal([a, b], 'the nodes are equal again')
      t.equal(a.engine.swarm().peers.length, 300)
      t.equal(a.exchange.state().counters.droppedDeltas > 0, isDropped)
      const gaps = b.exchange.state().counters.gaps
      t.equal(gaps > 0, isDropped, `${gaps} gaps: announces that waited are not missing`)
    }
  },
)

t.test('the parts of a split swarm merge', async t => {
  const hub = new MemoryHub()
  const nodes = ['a', 'b', 'c'].map(name => startNode(hub, name))
  const [a, b, c] = nodes as [TestNode, TestNode, TestNode]
  await settle(nodes)
  for (let client = 0; client < 50; client++) announce(a, client)
  await equal(nodes, 'three nodes are equal')
  hub.partOf = bus => (bus === c.bus ? 1 : 0)
  for (let client = 40; client < 90; client++) announce(client % 2 ? a : b, client)
  for (let client = 80; client < 120; client++) announce(c, client)
  announce(c, 1, Event.stopped)
  await equal([a, b], 'the larger part goes on')
  c.exchange.flush()
  hub.partOf = () => 0
  await equal(nodes, 'all are equal again')
  t.equal(a.engine.swarm().peers.length, 119)
})

t.test('batches that are malformed or of another version are refused whole', async t => {
  const hub = new MemoryHub()
  const a = startNode(hub, 'a')
  await settle([a])
  const other = hub.join()
  const head = Buffer.alloc(32)
  head.write('MSD1', 0, 'latin1')
  const many = Buffer.from(head)
  many.writeUInt16LE(2, 16)
  for (const batch of [
    Buffer.alloc(0),
    Buffer.alloc(64),
    Buffer.from('MSD2'.padEnd(48)),
    Buffer.concat([many, Buffer.alloc(48)]),
    Buffer.concat([head, Buffer.alloc(48, 255)]),
  ]) {
    other.publish('muster.test.swarm.0.x', batch)
  }
  other.publish('muster.test.here.x', Buffer.from('{"name":"x"}'))
  other.publish('muster.test.here.x', Buffer.from('no JSON'))
  other.publish('muster.test.admin', Buffer.from([1, 2, 3]))
  await sleep(10)
  t.equal(a.exchange.state().counters.refusedBatches, 5)
  t.equal(a.engine.swarm().peers.length, 0)
  t.ok(a.log.some(line => line.includes('a batch is refused')))
  t.ok(a.log.some(line => line.includes('another version')))
})

t.test('two nodes of one name are reported', async t => {
  const hub = new MemoryHub()
  const [a, b] = [startNode(hub, 'same'), startNode(hub, 'same')]
  await settle([a, b])
  t.ok(a.log.some(line => line.startsWith('another node has the name of this one')))
})

t.test('administrative changes arrive in order, and a lost one is noticed', async t => {
  const hub = new MemoryHub()
  const [a, b] = [startNode(hub, 'a'), startNode(hub, 'b')]
  await settle([a, b])
  a.exchange.publishChange(Buffer.from('one'))
  a.exchange.publishChange(Buffer.from('two'))
  await until(() => b.changes.length === 2, 'both changes are there')
  t.strictSame(b.changes, ['one', 'two'])
  t.equal(b.missed, 0)
  hub.isLost = subject => subject.endsWith('admin')
  a.exchange.publishChange(Buffer.from('lost'))
  hub.isLost = () => false
  await until(() => {
    a.exchange.beat()
    return b.missed === 1
  }, 'a heartbeat shows that one is missing')
  a.exchange.publishChange(Buffer.from('four'))
  await until(() => b.changes.length === 3, 'later ones arrive')
  t.equal(b.changes[2], 'four')
})
