import t from 'tap'
import { applyDelta, areDeltas } from '../../src/engine/apply.ts'
import { createDeltaRing, droppedDeltas, openDeltaRing } from '../../src/engine/delta-ring.ts'
import { readTorrent, takeChangedTorrents } from '../../src/engine/inspect.ts'
import { noteWritten } from '../../src/engine/stored-torrents.ts'
import { allocate, bytesOf } from '../../src/protocol/bytes.ts'
import { DELTA_EXPIRED, DeltaBit, deltaBytes, seenOf } from '../../src/protocol/delta-record.ts'
import { Event } from '../../src/protocol/records.ts'
import { writeAnnounce } from '../fixtures/announce-request.ts'
import { EngineNode, NODE_SETTINGS, type TestBatch } from '../fixtures/engine-node.ts'
import { fc } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const START = 1_700_000_000
const request = allocate(256)

function id(text: string): Buffer {
  return Buffer.from(text.padEnd(20, '.'))
}

/** One random announce of a small world. A client is of one family, and may go to any node. */
function randomAnnounce(random: (bound: number) => number): void {
  const client = random(12)
  const family = client % 3
  const address = Buffer.alloc([4, 16, 8][family] as number, 1)
  address.writeUInt32BE(0x1000_0000 + client * 7919, address.length - 4)
  const dice = random(10)
  writeAnnounce(request, {
    infoHash: Buffer.alloc(20, 1 + random(3)),
    peerId: id(`-MU0100-${client >> 1}`),
    address,
    port: 1 + random(65_535),
    event: dice < 2 ? Event.stopped : dice < 4 ? Event.completed : Event.none,
    left: random(2) * 4096,
  })
}

/** One random announce of a client that has not stopped in this second, always of one state. */
function tiedAnnounce(random: (bound: number) => number, stopped: Set<number>): void {
  const clients = Array.from({ length: 12 }, (_, n) => n).filter(n => !stopped.has(n))
  const client = clients[random(clients.length)] ?? 0
  const stops = clients.length > 1 && random(3) === 0
  if (stops) stopped.add(client)
  writeAnnounce(request, {
    infoHash: Buffer.alloc(20, 1 + (client % 3)),
    peerId: id(`-MU0100-${client}`),
    address: Buffer.from([10, 0, 0, client]),
    event: stops ? Event.stopped : Event.none,
    left: client % 2,
  })
}

/** With `hasTies`, clients announce the same state several times a second, and then stop. */
type Faults = { late: boolean; twice: boolean; lost: boolean; hasTies?: boolean }

/** Runs a world of several nodes, and returns them with one engine that got everything. */
function run(seed: number, faults: Faults): { nodes: EngineNode[]; reference: EngineNode } {
  const random = seededRandom(seed)
  const nodes = Array.from({ length: 2 + random(3) }, (_, n) => new EngineNode(n))
  const reference = new EngineNode(99)
  const waiting = new Map<string, TestBatch[]>()
  let now = START
  const deliver = (to: EngineNode, queue: TestBatch[]) => {
    const batch = queue.shift()
    if (!batch || (faults.lost && random(6) === 0)) return
    if (faults.twice && random(4) === 0) queue.unshift(batch)
    const before = to.lastBase(batch.from)
    const from = nodes[batch.from]
    if (to.receive(batch, now) && from) to.fetch(from, before - 2, now)
  }
  const flush = (node: EngineNode) => {
    const batch = node.flush(now)
    for (const to of nodes) {
      if (to === node) continue
      const key = `${node.index} ${to.index}`
      const queue = waiting.get(key) ?? []
      waiting.set(key, queue)
      queue.push(batch)
      if (!faults.late) deliver(to, queue)
    }
  }
  const stopped = new Set<number>()
  for (let step = 0; step < 300; step++) {
    if (!faults.hasTies || random(8) === 0) {
      now++
      stopped.clear()
    }
    if (faults.hasTies) tiedAnnounce(random, stopped)
    else randomAnnounce(random)
    const node = nodes[random(nodes.length)] as EngineNode
    node.announce(request, now)
    reference.announce(request, now)
    if (!faults.late) for (const each of nodes) flush(each)
    else if (random(3) === 0) flush(nodes[random(nodes.length)] as EngineNode)
    for (const [key, queue] of waiting) {
      if (queue.length > 0 && random(4) === 0) {
        deliver(nodes[Number(key.split(' ')[1])] as EngineNode, queue)
      }
    }
  }
  // At rest: everything received is sent, and a last batch, which is not lost, shows every gap.
  const before = nodes.map(to => nodes.map(from => to.lastBase(from.index)))
  for (const node of nodes) flush(node)
  for (const [key, queue] of waiting) {
    const to = nodes[Number(key.split(' ')[1])] as EngineNode
    for (const batch of queue) to.receive(batch, now)
  }
  if (faults.lost) {
    for (const [n, to] of nodes.entries()) {
      for (const [m, from] of nodes.entries()) {
        if (to !== from) to.fetch(from, (before[n]?.[m] ?? 0) - 2, now)
      }
    }
  }
  return { nodes, reference }
}

t.test('deltas that arrive in order give every node the swarm of one engine', async t => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const { nodes, reference } = run(seed, { late: false, twice: false, lost: false })
      const expected = reference.swarm()
      for (const node of nodes) if (!t.strictSame(node.swarm(), expected)) return false
      return true
    }),
    { numRuns: 5 },
  )
})

t.test('late, repeated and reordered deltas give the swarm of one engine', async t => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const { nodes, reference } = run(seed, { late: true, twice: true, lost: false })
      const expected = reference.swarm()
      for (const node of nodes) if (!t.strictSame(node.swarm(), expected)) return false
      return true
    }),
    { numRuns: 12 },
  )
})

t.test('lost batches are replaced by a transfer', async t => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const { nodes, reference } = run(seed, { late: true, twice: true, lost: true })
      // Records have no WebSocket peers (8 bytes of address), which announce every two minutes.
      const ip = ({ peers }: { peers: string[] }) =>
        peers.filter(peer => !/^\S+ \S+ [0-9a-f]{16} /.test(peer))
      const expected = ip(reference.swarm())
      for (const node of nodes) if (!t.strictSame(ip(node.swarm()), expected)) return false
      return true
    }),
    { numRuns: 12 },
  )
})

t.test('a stop is the last announce of its second on every node', async t => {
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, lost) => {
      const { nodes, reference } = run(seed, { late: true, twice: true, lost, hasTies: true })
      const expected = reference.swarm()
      for (const node of nodes) if (!t.strictSame(node.swarm(), expected)) return false
      return true
    }),
    { numRuns: 20 },
  )
})

t.test('a client that stops and returns within a second is back on every node', async t => {
  const [first, second, third] = [0, 1, 2].map(n => new EngineNode(n)) as [
    EngineNode,
    EngineNode,
    EngineNode,
  ]
  const announce = (event: number) => {
    writeAnnounce(request, {
      infoHash: id('torrent'),
      peerId: id('peer'),
      address: Buffer.from([10, 0, 0, 1]),
      event,
    })
    first.announce(request, START)
  }
  announce(Event.started)
  announce(Event.stopped)
  announce(Event.started)
  second.receive(first.flush(START), START)
  t.strictSame(second.swarm(), first.swarm(), 'by the deltas')
  third.fetch(first, 0, START)
  t.strictSame(third.swarm(), first.swarm(), 'by a transfer')
  t.equal(third.swarm().peers.length, 1)
})

t.test('a transfer has the end of a second in which a leecher became a seeder', async t => {
  const [first, second] = [new EngineNode(0), new EngineNode(1)]
  const announce = (left: number) => {
    writeAnnounce(request, {
      infoHash: id('torrent'),
      peerId: id('peer'),
      address: Buffer.from([10, 0, 0, 1]),
      left,
      event: left === 0 ? Event.completed : Event.started,
    })
    first.announce(request, START)
  }
  announce(1)
  second.receive(first.flush(START), START)
  announce(0)
  first.flush(START)
  second.fetch(first, START - 2, START)
  t.strictSame(second.swarm(), first.swarm())
  t.match(second.swarm().peers[0], / seeder /)
})

t.test('a delta has the length that its bits say, and others are refused', async t => {
  t.equal(deltaBytes(0), 48, 'IPv4')
  t.equal(deltaBytes(1), 60, 'IPv6')
  t.equal(deltaBytes(2 | DeltaBit.counts | DeltaBit.user), 68 + 40, 'WebSocket, with all')
  t.equal(deltaBytes(3), 0, 'no family')
  t.equal(deltaBytes(DeltaBit.leased), 48, 'leased')
  t.equal(deltaBytes(DELTA_EXPIRED), 52, 'timed out')
  t.equal(seenOf(START & 0xff, START), START)
  t.equal(seenOf((START - 255) & 0xff, START), START - 255)
  const bytes = Buffer.alloc(100)
  t.ok(areDeltas(bytes, 0, 96, 2))
  t.notOk(areDeltas(bytes, 0, 96, 1), 'another number')
  t.notOk(areDeltas(bytes, 0, 95, 2), 'half a delta')
  bytes[48] = 3
  t.notOk(areDeltas(bytes, 0, 96, 2), 'an unknown family')
})

t.test('a full ring drops deltas, counts them and continues', async t => {
  const node = new EngineNode(0, undefined, 4096)
  for (let n = 0; n < 200; n++) {
    writeAnnounce(request, {
      infoHash: id('torrent'),
      peerId: id(`peer ${n}`),
      address: Buffer.from([10, 0, 0, n]),
      left: 1,
    })
    node.announce(request, START)
  }
  const dropped = droppedDeltas(node.engine.ring ?? openDeltaRing(createDeltaRing()))
  const first = node.flush(START)
  t.ok(
    first.count > 50 && first.count + dropped === 200,
    `${first.count} deltas, ${dropped} dropped`,
  )
  for (let round = 0; round < 500; round++) {
    node.announce(request, START + round)
    const batch = node.flush(START + round)
    if (batch.count !== 1 || !areDeltas(batch.bytes, 0, batch.bytes.length, 1)) {
      t.fail(`round ${round}: ${batch.count} deltas`)
    }
  }
})

t.test(
  'a clock that is ahead does not extend the life of a peer, and expired peers are skipped',
  async t => {
    const node = new EngineNode(0)
    const other = new EngineNode(1)
    writeAnnounce(request, {
      infoHash: id('torrent'),
      peerId: id('peer'),
      address: Buffer.from([10, 0, 0, 1]),
    })
    node.announce(request, START + 60)
    other.receive(node.flush(START + 60), START)
    t.match(other.swarm().peers, [new RegExp(`seeder ${START}$`)])
    const { applier } = other
    node.announce(request, START + 61)
    const { bytes } = node.flush(START + 61)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    applier.nowSeconds = START + 61 + NODE_SETTINGS.peersTimeout + 1
    applyDelta(applier, { bytes, view }, 0, START + 61)
    t.equal(applier.counts.expired, 1)
    t.equal(readTorrent(other.engine, id('torrent'))?.seeders, 1)
  },
)

t.test('a download that two nodes counted at once is added to the database once', async t => {
  const nodes = [0, 1, 2].map(n => new EngineNode(n)) as [EngineNode, EngineNode, EngineNode]
  for (const { applier, engine } of nodes) {
    engine.settings = { ...NODE_SETTINGS, persistent: true, sharesDatabase: true }
    applier.engine.settings = engine.settings
  }
  const announce = (node: EngineNode, event: number, left: number, client = 1) => {
    const peerId = id(`-MU0100-${client}`)
    const address = Buffer.from([10, 0, 0, client])
    writeAnnounce(request, { infoHash: Buffer.alloc(20, 1), peerId, address, event, left })
    node.announce(request, START)
  }
  const exchange = () => {
    const batches = nodes.map(node => node.flush(START))
    for (const to of nodes) {
      for (const batch of batches) if (batch.from !== to.index) to.receive(batch, START)
    }
  }
  const written = [0, 0, 0]
  const write = () => {
    for (const [n, { engine }] of nodes.entries()) {
      for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
        for (const { hash, unwritten } of takeChangedTorrents(engine, stripe)) {
          written[n] = (written[n] ?? 0) + unwritten
          noteWritten(engine, hash, unwritten)
        }
      }
    }
  }
  for (const client of [1, 2]) announce(nodes[client as 1 | 2], Event.started, 9, client)
  exchange()
  announce(nodes[1], Event.completed, 0)
  announce(nodes[2], Event.completed, 0)
  write()
  t.same(written, [0, 1, 1], 'both were written before the nodes knew of each other')
  exchange()
  write()
  t.same(written, [0, 1, 0])
  for (const node of nodes) announce(node, Event.completed, 0, 2)
  exchange()
  write()
  t.same(written, [1, 1, 0])
  // The engine thread of one has counted a third, and its record arrives after that of another.
  announce(nodes[2], Event.started, 9, 3)
  exchange()
  announce(nodes[1], Event.completed, 0, 3)
  announce(nodes[2], Event.completed, 0, 3)
  const { bytes } = nodes[1].flush(START)
  const { applier } = nodes[2]
  applier.nowSeconds = START
  applier.from = '1'
  applyDelta(applier, { bytes, view: bytesOf(bytes).view }, 0, START)
  exchange()
  write()
  t.same(written, [1, 2, 0])
  for (const { engine } of nodes.slice(1)) {
    t.equal(readTorrent(engine, Buffer.alloc(20, 1))?.completed, 3)
  }
})

for (const sharesDatabase of [true, false]) {
  const who = sharesDatabase ? 'the node that counted it' : 'each node'
  t.test(`a download is written to the database by ${who}`, async t => {
    const nodes = [new EngineNode(0), new EngineNode(1)] as const
    const settings = { ...NODE_SETTINGS, persistent: true, sharesDatabase }
    for (const { applier, engine } of nodes) {
      engine.settings = settings
      applier.engine.settings = settings
    }
    const client = { infoHash: Buffer.alloc(20, 1), peerId: id('-MU0100-1') }
    for (const [event, left] of [
      [Event.started, 9],
      [Event.completed, 0],
    ] as const) {
      writeAnnounce(request, { ...client, address: Buffer.from([10, 0, 0, 1]), event, left })
      nodes[0].announce(request, START)
    }
    nodes[1].receive(nodes[0].flush(START), START)
    const unwritten = nodes.map(({ engine }) =>
      Array.from({ length: engine.stripeCount }, (_, n) => takeChangedTorrents(engine, n))
        .flat()
        .map(torrent => [torrent.completed, torrent.unwritten]),
    )
    t.same(unwritten, [[[1, 1]], [[1, sharesDatabase ? 0 : 1]]])
  })
}
