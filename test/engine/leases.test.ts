import t from 'tap'
import { skippedDeltas } from '../../src/engine/delta-ring.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { writeAnnounce } from '../fixtures/announce-request.ts'
import { EngineNode, NODE_SETTINGS, type TestBatch } from '../fixtures/engine-node.ts'
import { fc } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const START = 1_700_000_000
const STEP_SECONDS = 30
const TIMEOUT = NODE_SETTINGS.peersTimeout
/** Seconds that batches and sweeps are late, at most. */
const LATE_SECONDS = 10 * STEP_SECONDS
const request = allocate(256)

type Faults = {
  readonly late: boolean
  readonly lost: boolean
  /** Nodes die, and are started again with or without their snapshot. */
  readonly deaths: boolean
}

/** A client: it stays at one node for long, and may vanish without a word. */
type Client = {
  readonly number: number
  node: number
  next: number
  last: number
  left: number
  isGone: boolean
  /** The node that it announced to died before it could send the announce. */
  isUnsure: boolean
}

/** Several nodes with leases, their clients, and one engine that gets every announce. */
class World {
  readonly random: (bound: number) => number
  readonly faults: Faults
  readonly nodes: EngineNode[] = []
  readonly reference = new EngineNode(99)
  readonly clients: Client[] = []
  readonly queues = new Map<string, TestBatch[]>()
  now = START
  /** When the last node died. */
  diedSeconds = 0
  #lastIndex = 0

  constructor(seed: number, faults: Faults) {
    this.random = seededRandom(seed)
    this.faults = faults
    for (let n = 2 + this.random(2); n > 0; n--) this.#add(new EngineNode(this.#lastIndex++))
    for (let number = 0; number < 40; number++) {
      const node = this.random(this.nodes.length)
      const next = this.now + this.random(1800)
      this.clients.push({ number, node, next, last: 0, left: 1, isGone: false, isUnsure: false })
    }
  }

  /** A node has started: the others send it all of their peers again. */
  #add(node: EngineNode): void {
    for (const other of this.nodes) {
      other.setNode(node.index)
      node.setNode(other.index)
      other.beginLeases()
    }
    node.beginLeases()
    this.nodes.push(node)
  }

  announce(client: Client): void {
    const { number } = client
    if (this.random(8) === 0) client.node = this.random(this.nodes.length)
    const dice = this.random(20)
    const stops = dice === 0
    const completes = dice < 3 && client.left > 0
    if (completes) client.left = 0
    const address = Buffer.alloc(number % 2 === 0 ? 4 : 16, 1)
    address.writeUInt32BE(0x1000_0000 + number * 7919, address.length - 4)
    writeAnnounce(request, {
      infoHash: Buffer.alloc(20, 1 + (number % 3)),
      peerId: Buffer.from(`-MU0100-${number}`.padEnd(20, '.')),
      address,
      port: 6881 + (this.random(12) === 0 ? 1 : 0),
      event: stops ? Event.stopped : completes ? Event.completed : Event.none,
      left: client.left,
    })
    this.nodes[client.node % this.nodes.length]?.announce(request, this.now)
    this.reference.announce(request, this.now)
    client.isGone = stops || this.random(12) === 0
    client.isUnsure = false
    client.last = stops ? 0 : this.now
    // Some are late, but none so late that it has timed out.
    client.next = this.now + 1700 + this.random(this.random(4) === 0 ? TIMEOUT - 1800 : 300)
    // Another one takes the place of a client that is gone for long.
    if (client.isGone) client.next += TIMEOUT + this.random(4 * TIMEOUT)
  }

  #deliver(to: EngineNode, from: EngineNode, queue: TestBatch[]): void {
    const batch = queue.shift()
    if (!batch || (this.faults.lost && this.random(6) === 0)) return
    if (this.faults.late && this.random(4) === 0) queue.unshift(batch)
    const before = to.lastBase(from.index)
    if (to.receive(batch, this.now)) to.fetch(from, before - 2, this.now)
  }

  #flush(isQuiet: boolean): void {
    for (const from of this.nodes) {
      const batch = from.flush(this.now)
      for (const to of this.nodes) {
        if (to === from) continue
        const key = `${from.index} ${to.index}`
        const queue = this.queues.get(key) ?? []
        this.queues.set(key, queue)
        queue.push(batch)
        if (isQuiet) {
          const before = to.lastBase(from.index)
          let isGap = false
          for (const each of queue.splice(0)) isGap = to.receive(each, this.now) || isGap
          if (isGap) to.fetch(from, before - 2, this.now)
        } else if (!this.faults.late || this.random(3) > 0) this.#deliver(to, from, queue)
      }
    }
  }

  /** A node dies with what it did not send, and another one takes its place. */
  #die(): void {
    const index = this.random(this.nodes.length)
    const [dead] = this.nodes.splice(index, 1)
    const giver = this.nodes[this.random(this.nodes.length)]
    if (!dead || !giver) return
    for (const client of this.clients) {
      if (client.last >= this.now - LATE_SECONDS) client.isUnsure = true
      client.node = this.random(this.nodes.length)
    }
    for (const other of this.nodes) {
      other.setNode(dead.index, this.now)
      other.beginLeases()
    }
    this.diedSeconds = this.now
    const node = new EngineNode(this.#lastIndex++)
    if (this.random(2) === 0) node.restore(dead, this.now)
    this.#add(node)
    for (const other of this.nodes) other.setNode(dead.index, this.now)
    node.fetch(giver, this.random(2) === 0 ? 0 : this.now - LATE_SECONDS, this.now, true)
    for (const other of this.nodes) {
      if (other !== node && other !== giver) node.fetch(other, this.now - LATE_SECONDS, this.now)
    }
  }

  step(): void {
    this.now += STEP_SECONDS
    for (const client of this.clients) if (client.next <= this.now) this.announce(client)
    if (this.random(3) === 0) this.#sweep()
    this.#flush(false)
    if (this.faults.deaths && this.random(150) === 0) {
      this.#flush(true)
      this.#die()
    }
  }

  #sweep(): void {
    for (const node of [...this.nodes, this.reference]) node.sweep(this.now)
  }

  /** Everything that was sent is received, and everything that has timed out is removed. */
  rest(): void {
    for (let round = 0; round < 2; round++) {
      this.#flush(true)
      this.#sweep()
    }
    this.#flush(true)
  }

  /** Peers that only the node has, and those that only the reference has. */
  differences(node: EngineNode): { more: string[]; less: string[] } {
    const peersOf = (each: EngineNode) =>
      new Set(each.swarm().peers.map(peer => peer.slice(0, peer.lastIndexOf(' '))))
    const own = peersOf(node)
    const all = peersOf(this.reference)
    return {
      more: [...own].filter(peer => !all.has(peer)),
      less: [...all].filter(peer => !own.has(peer)),
    }
  }
}

function idOf(number: number): string {
  return Buffer.from(`-MU0100-${number}`.padEnd(20, '.')).toString('hex')
}

/** Runs a world, and returns what is wrong at the times of rest. */
function faultsOf(seed: number, faults: Faults): string[] {
  const world = new World(seed, faults)
  const wrong: string[] = []
  for (let step = 1; step <= 700 && wrong.length === 0; step++) {
    world.step()
    if (step % 25 !== 0) continue
    world.rest()
    const isCalm = world.now > world.diedSeconds + TIMEOUT + LATE_SECONDS
    for (const node of world.nodes) {
      const { less, more } = world.differences(node)
      const unsure = world.clients.filter(({ isUnsure }) => isUnsure).map(each => idOf(each.number))
      const missing = less.filter(peer => !unsure.some(id => peer.includes(id)))
      const at = `seed ${seed}, node ${node.index} after ${world.now - START} s`
      if (missing.length > 0) wrong.push(`${at}: ${missing.join(', ')} are missing`)
      if (isCalm && more.length > 0) wrong.push(`${at}: ${more.join(', ')} should be gone`)
    }
  }
  const skipped = world.nodes.map(({ engine }) => (engine.ring ? skippedDeltas(engine.ring) : 0))
  if (!skipped.some(count => count > 0)) wrong.push(`seed ${seed}: no announce was left out`)
  return wrong
}

for (const [name, faults] of [
  ['in order', { late: false, lost: false, deaths: false }],
  ['late and repeated', { late: true, lost: false, deaths: false }],
  ['late, repeated and lost', { late: true, lost: true, deaths: false }],
  ['late, repeated and lost, of nodes that die', { late: true, lost: true, deaths: true }],
] as const) {
  t.test(`with leases, nodes have the peers of one engine: deltas ${name}`, async t => {
    fc.assert(
      fc.property(fc.integer(), seed => {
        const wrong = faultsOf(seed, faults)
        t.same(wrong, [], `seed ${seed}`)
        return wrong.length === 0
      }),
      { numRuns: 3, endOnFailure: true },
    )
  })
}
