import t from 'tap'
import type { Relayed } from '../../src/frontends/websocket/relay.ts'
import { allocate, bytesOf } from '../../src/protocol/bytes.ts'
import { nodeOfWorker } from '../../src/protocol/connection.ts'
import {
  ANNOUNCE_BYTES,
  Event,
  KIND,
  Kind,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../../src/protocol/records.ts'
import { writeAnnounce } from '../fixtures/announce-request.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import { beatUntil, settle, startNode, type TestNode } from './fixtures/exchange-node.ts'
import { MemoryHub } from './fixtures/memory-bus.ts'

const NAMES = ['a', 'b', 'c'] as const
const request = allocate(256)

/** A browser with one torrent. Several have the same worker and socket numbers on their nodes. */
type Browser = {
  readonly number: number
  readonly node: number
  readonly worker: number
  readonly socket: number
  left: number
}

const hashOf = ({ number }: Browser) => Buffer.alloc(20, 1 + (number % 3))
const idOf = ({ number }: Browser) => Buffer.from(`-WW0100-${number}`.padEnd(20, '.'))
const textOf = (bytes: Buffer) => bytes.toString('latin1')

class World {
  readonly hub = new MemoryHub()
  readonly nodes: TestNode[] = []
  readonly browsers = new Map<number, Browser>()
  readonly random: (bound: number) => number
  now = 1_700_000_000
  #last = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  start(node: number): void {
    const name = NAMES[node] as string
    this.nodes[node] = startNode(this.hub, name, { nowSeconds: () => this.now })
  }

  open(node = this.random(this.nodes.length)): Browser {
    const number = ++this.#last
    const browser = {
      number,
      node,
      worker: this.random(3),
      socket: number >> 1,
      left: this.random(2),
    }
    this.browsers.set(number, browser)
    this.announce(browser)
    return browser
  }

  announce(browser: Browser): void {
    this.#send(browser, Kind.announce)
  }

  close(browser: Browser): void {
    this.browsers.delete(browser.number)
    this.#send(browser, Kind.leave)
  }

  #send(browser: Browser, kind: Kind): void {
    const address = Buffer.alloc(8)
    address.writeUInt32LE(browser.worker, 0)
    address.writeUInt32LE(browser.socket, 4)
    writeAnnounce(request, {
      infoHash: hashOf(browser),
      peerId: idOf(browser),
      address,
      client: Buffer.alloc(16, browser.number),
      event: Event.none,
      left: browser.left,
    })
    request.u8[KIND] = kind
    // A leave record ends before the client's address.
    const bytes = kind === Kind.leave ? ANNOUNCE_BYTES : WEBSOCKET_ANNOUNCE_BYTES
    const record = bytesOf(request.u8.slice(0, bytes))
    this.nodes[browser.node]?.engine.announce(record, this.now)
  }

  step(): void {
    this.now += this.random(3)
    const known = [...this.browsers.values()]
    const browser = known[this.random(known.length)]
    const action = this.random(10)
    if (!browser || action < 4) this.open()
    else if (action < 6) this.close(browser)
    else {
      browser.left = this.random(2)
      this.announce(browser)
    }
    if (this.random(3) > 0) return
    // Batches of a node that are lost are fetched.
    const isLossy = this.random(3) === 0
    this.hub.isLost = subject => isLossy && subject.includes('swarm')
    for (const { exchange } of this.nodes) exchange.flush()
    this.hub.isLost = () => false
  }

  /** A killed node is started again, and its browsers have gone. */
  restart(node: number): void {
    const killed = this.nodes[node]
    if (killed) killed.bus.isUp = false
    for (const browser of this.browsers.values()) {
      if (browser.node === node) this.browsers.delete(browser.number)
    }
    this.now += 2
    this.start(node)
  }

  /** The peers that a node has: those of all browsers, once everything has arrived. */
  isEqual = (): boolean => {
    const expected = [...this.browsers.values()]
      .map(one => `${hashOf(one).toString('hex')} ${idOf(one).toString('hex')} ${one.left === 0}`)
      .sort()
      .join('\n')
    return this.nodes.every(node => peersOf(node).map(describe).sort().join('\n') === expected)
  }

  /**
   * Sends an offer to every peer in the tables of every node, and an answer back. Returns what went
   * wrong.
   */
  async exchangeOffers(): Promise<string[]> {
    const faults: string[] = []
    for (const [at, node] of this.nodes.entries()) {
      for (const peer of peersOf(node)) {
        const target = [...this.browsers.values()].find(one => textOf(idOf(one)) === peer.peerId)
        if (!target) {
          faults.push(`${NAMES[at]} has a peer without a browser`)
          continue
        }
        const isLocal = nodeOfWorker(peer.worker) === 0
        if (isLocal !== (target.node === at)) faults.push(`${describe(peer)} has a wrong node`)
        if (!isLocal) faults.push(...(await this.#exchange(at, peer, target)))
      }
    }
    return faults
  }

  async #exchange(at: number, peer: Peer, target: Browser): Promise<string[]> {
    const maker = { worker: this.random(65_536), socket: this.random(2 ** 31) }
    const node = this.nodes[at] as TestNode
    for (const { delivered } of this.nodes) delivered.length = 0
    node.exchange.relay({
      worker: peer.worker,
      socket: peer.socket,
      infoHash: peer.infoHash,
      peerId: peer.peerId,
      text: 'offer',
      offer: { ...maker, peerId: '\xfe'.repeat(20), offerId: 'one', address: '\x7f\0\0\x01' },
    })
    await new Promise(setImmediate)
    const offers = this.nodes.map(({ delivered }) => [...delivered])
    const [offer] = offers[target.node] ?? []
    const { worker, socket } = target
    if (!offer || offers.flat().length !== 1 || offer.worker !== worker || offer.socket !== socket)
      return [`the offer to ${describe(peer)} went astray: ${JSON.stringify(offers)}`]
    const origin = offer.offer as NonNullable<Relayed['offer']>
    this.nodes[target.node]?.exchange.relay({
      ...offer,
      worker: origin.worker,
      socket: origin.socket,
      peerId: origin.peerId,
      text: 'answer',
      offer: undefined,
    })
    await new Promise(setImmediate)
    const answer = node.delivered.find(({ text }) => text === 'answer')
    const isRight = answer?.worker === maker.worker && answer.socket === maker.socket
    return isRight ? [] : [`the answer of ${describe(peer)} went astray: ${JSON.stringify(answer)}`]
  }
}

type Peer = {
  readonly infoHash: string
  readonly peerId: string
  readonly seeder: boolean
  readonly worker: number
  readonly socket: number
}

/** The WebSocket peers in the tables of a node. */
function peersOf({ engine }: TestNode): Peer[] {
  const found: Peer[] = []
  for (const [infoHash, { peers }] of checkTables(engine.engine)) {
    for (const { address, peerId, seeder } of peers.values()) {
      const connection = Buffer.from(address, 'hex')
      if (connection.length !== 8) continue
      found.push({
        infoHash: Buffer.from(infoHash, 'hex').toString('latin1'),
        peerId: Buffer.from(peerId, 'hex').toString('latin1'),
        seeder,
        worker: connection.readUInt32LE(0),
        socket: connection.readUInt32LE(4),
      })
    }
  }
  return found
}

function describe({ infoHash, peerId, seeder }: Peer): string {
  return (
    [infoHash, peerId].map(text => Buffer.from(text, 'latin1').toString('hex')).join(' ') +
    ` ${seeder}`
  )
}

t.test('WebSocket peers of all nodes are known everywhere, and reached', async t => {
  const world = new World(testSeed(t))
  for (const node of NAMES.keys()) world.start(node)
  await settle(world.nodes)
  for (let phase = 0; phase < 6; phase++) {
    for (let step = 0; step < 60; step++) world.step()
    if (phase % 3 === 2) {
      world.restart(world.random(NAMES.length))
      await settle(world.nodes)
    }
    await beatUntil(world.nodes, world.isEqual, `all peers are known in phase ${phase}`)
    t.strictSame(await world.exchangeOffers(), [], `every peer is reached in phase ${phase}`)
  }
})

t.test('a node that is silent loses its WebSocket peers elsewhere, until it is back', async t => {
  const world = new World(1)
  for (const node of NAMES.keys()) world.start(node)
  const [a, b, c] = world.nodes as [TestNode, TestNode, TestNode]
  await settle(world.nodes)
  for (let n = 0; n < 90; n++) world.open(n % 3)
  await beatUntil(world.nodes, world.isEqual, 'all peers are known')
  const ofC = [...world.browsers.values()]
    .filter(({ node }) => node === 2)
    .map(one => textOf(idOf(one)))
  const before = peersOf(a).find(({ peerId }) => ofC.includes(peerId))
  world.hub.partOf = bus => (bus === c.bus ? 1 : 0)
  const counts = (node: TestNode) => peersOf(node).length
  const isCut = () => counts(a) === 60 && counts(b) === 60 && counts(c) === 30
  await beatUntil(world.nodes, isCut, 'each side has the peers that it reaches')
  for (const browser of [...world.browsers.values()].slice(0, 30)) world.close(browser)
  for (let n = 0; n < 30; n++) world.open(n % 3)
  world.hub.partOf = () => 0
  await beatUntil(world.nodes, world.isEqual, 'all peers are known again')
  t.strictSame(await world.exchangeOffers(), [])
  const { unreachableRelays } = a.exchange.state().counters
  const message = { infoHash: '', text: 'late', offer: undefined, peerId: '', socket: 1 }
  const formerC = before?.worker ?? 0
  a.exchange.relay({ ...message, worker: formerC })
  t.equal(a.exchange.state().counters.unreachableRelays, unreachableRelays + 1)
})

t.test('a node without WebSocket peers of its own version is left alone', async t => {
  const world = new World(1)
  world.start(0)
  await settle(world.nodes)
  const [a] = world.nodes as [TestNode]
  const old = world.hub.join()
  const beat = {
    name: 'old',
    epoch: world.now,
    id: 1,
    version: '0.0.0',
    sequence: 0,
    changes: 0,
    millis: Date.now(),
    torrents: 0,
    peers: 0,
    announces: 0,
    joined: false,
    alone: false,
    settings: '',
  }
  old.publish('muster.test.here.old', Buffer.from(JSON.stringify(beat)))
  for (let n = 0; n < 10; n++) world.open(0)
  const isHere = () => a.exchange.state().nodes.some(({ name, up }) => name === 'old' && up)
  await beatUntil([a], isHere, 'the node is up')
  const { counters } = a.exchange.state()
  t.match(counters, { failedTransfers: 0, refusedBatches: 0 }, 'it is asked for nothing')
})
