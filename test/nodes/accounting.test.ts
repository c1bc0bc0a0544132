import fc from 'fast-check'
import t from 'tap'
import { applyDelta } from '../../src/engine/apply.ts'
import {
  createSessionCursor,
  exportSessions,
  importSessions,
  isSessionEnd,
} from '../../src/engine/session-transfer.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { NO_TOTALS, readUser, writeUser, writeUserKey } from '../../src/engine/user-records.ts'
import { allocate, bytesOf } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { writeAnnounce } from '../fixtures/announce-request.ts'
import { EngineNode, type TestBatch } from '../fixtures/engine-node.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const START = 1_700_000_000
const USERS = 3
const request = allocate(256)
const keyOf = (user: number) => Buffer.alloc(20, user)

function newNode(index: number): EngineNode {
  const node = new EngineNode(index, 16 * 2 ** 20, 2 ** 18, true)
  const { userKeys, users } = node.engine.access
  for (let user = 1; user <= USERS; user++) {
    writeUser(users, user, { ...NO_TOTALS, active: true })
    writeUserKey(users, user, keyOf(user))
    setValue(userKeys, bytesOf(keyOf(user)).view, 0, user)
  }
  return node
}

/** The counts of a client, and its credit: the growth of each run that it has reported. */
type Client = {
  readonly number: number
  up: number
  down: number
  firstUp: number
  firstDown: number
  creditUp: number
  creditDown: number
  heard: boolean
  lastSeconds: number
}

function apply(to: EngineNode, { base, bytes, from }: TestBatch, now: number): void {
  to.drain(now)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  to.applier.nowSeconds = now
  to.applier.from = String(from)
  for (let at = 0; at < bytes.length; ) at += applyDelta(to.applier, { bytes, view }, at, base)
}

function fetchSessions(to: EngineNode, from: EngineNode, since: number): void {
  const out = allocate(16_384)
  const cursor = createSessionCursor(since)
  while (!isSessionEnd(from.engine, cursor)) {
    const end = exportSessions(from.engine, cursor, out, 0, out.u8.length)
    importSessions(to.applier.engine, out, 0, end)
  }
}

type Faults = { readonly isLost: boolean; readonly isLate: boolean }

class World {
  readonly random: (bound: number) => number
  readonly nodes: EngineNode[]
  readonly clients: Client[]
  readonly #faults: Faults
  readonly #waiting: { to: EngineNode; batch: TestBatch }[] = []
  now = START

  constructor(seed: number, faults: Faults) {
    this.random = seededRandom(seed)
    this.#faults = faults
    this.nodes = Array.from({ length: 2 + this.random(3) }, (_, n) => newNode(n))
    this.clients = Array.from({ length: 6 }, (_, number) => ({
      number,
      up: this.random(1000),
      down: this.random(1000),
      firstUp: 0,
      firstDown: 0,
      creditUp: 0,
      creditDown: 0,
      heard: false,
      lastSeconds: 0,
    }))
  }

  /** Announces to a random node, or to several at once. */
  announce(client: Client, event: number): void {
    const { number } = client
    if (!client.heard) {
      client.firstUp = client.up
      client.firstDown = client.down
    }
    client.heard = true
    client.lastSeconds = this.now
    writeAnnounce(request, {
      infoHash: Buffer.alloc(20, 1 + (number >> 2)),
      peerId: Buffer.from(`-MU0100-${number}`.padEnd(20, '.')),
      // A third of the clients is connected by WebSocket.
      address: Buffer.from([10, 0, 0, number, 7, 0, 0, 0].slice(0, number % 3 === 0 ? 8 : 4)),
      client: Buffer.alloc(16, number),
      userKey: keyOf(1 + (number % USERS)),
      event,
      uploaded: client.up,
      downloaded: client.down,
      left: number % 2,
    })
    const count = this.random(3) === 0 ? this.nodes.length : 1
    const first = this.random(this.nodes.length)
    for (let n = 0; n < count; n++) {
      this.nodes[(first + n) % this.nodes.length]?.announce(request, this.now)
    }
  }

  /**
   * The client stops, and counts from 0 again. All nodes know of it before the counts exceed the
   * earlier ones: until then nothing distinguishes them from those of a client that went on.
   */
  restart(client: Client): void {
    if (!client.heard || client.up === 0) return
    if (this.random(2) === 0) this.announce(client, Event.stopped)
    this.settle()
    client.creditUp += client.up - client.firstUp
    client.creditDown += client.down - client.firstDown
    client.heard = false
    client.up = 0
    client.down = 0
    this.now = Math.max(this.now, client.lastSeconds) + 60 + this.random(100)
    this.announce(client, Event.started)
    this.settle()
  }

  exchange(): void {
    for (const node of this.nodes) {
      const batch = node.flush(this.now)
      for (const to of this.nodes) {
        if (to === node || (this.#faults.isLost && this.random(3) === 0)) continue
        if (this.#faults.isLate) this.#waiting.push({ to, batch })
        else apply(to, batch, this.now)
      }
    }
    // In any order, and some of them twice.
    for (let n = this.random(1 + this.#waiting.length); n > 0; n--) {
      const at = this.random(this.#waiting.length)
      const [next] = this.random(4) === 0 ? [this.#waiting[at]] : this.#waiting.splice(at, 1)
      if (next) apply(next.to, next.batch, this.now)
    }
  }

  /** Everything arrives, and what was lost is fetched. */
  settle(): void {
    this.exchange()
    for (const { batch, to } of this.#waiting.splice(0)) apply(to, batch, this.now)
    for (const to of this.nodes) {
      for (const from of this.nodes) if (from !== to) fetchSessions(to, from, START)
    }
  }

  step(): void {
    this.now += this.random(40)
    const client = this.clients[this.random(this.clients.length)] as Client
    if (this.random(12) === 0) this.restart(client)
    else {
      client.up += this.random(3) * this.random(100_000)
      client.down += this.random(3) * this.random(2 ** 40)
      this.announce(client, this.random(10) === 0 ? Event.completed : Event.none)
    }
    if (this.random(3) === 0) this.exchange()
  }

  expected(user: number): string {
    let up = 0
    let down = 0
    for (const client of this.clients) {
      if (1 + (client.number % USERS) !== user) continue
      up += client.creditUp + (client.heard ? client.up - client.firstUp : 0)
      down += client.creditDown + (client.heard ? client.down - client.firstDown : 0)
    }
    return `${up} up, ${down} down`
  }
}

for (const faults of [
  { isLost: false, isLate: false },
  { isLost: false, isLate: true },
  { isLost: true, isLate: true },
]) {
  t.test(`users are credited once on all nodes: ${JSON.stringify(faults)}`, async t => {
    fc.assert(
      fc.property(fc.integer(), seed => {
        const world = new World(seed, faults)
        for (let step = 0; step < 120; step++) world.step()
        world.settle()
        for (const node of world.nodes) {
          for (let user = 1; user <= USERS; user++) {
            const { downloaded, uploaded } = readUser(node.engine.access.users, user)
            const found = `${uploaded} up, ${downloaded} down`
            const expected = world.expected(user)
            if (found !== expected) {
              throw new Error(`node ${node.index}, user ${user}: ${found}, not ${expected}`)
            }
          }
        }
      }),
      { numRuns: 12, endOnFailure: true },
    )
    t.pass('all worlds')
  })
}

t.test('the same announces to all nodes at once are credited once', async t => {
  const world = new World(1, { isLost: false, isLate: true })
  const [client] = world.clients as [Client]
  const [a, b] = world.nodes as [EngineNode, EngineNode]
  for (const event of [Event.started, Event.none, Event.completed, Event.stopped]) {
    world.now += 1800
    client.up += 5000
    client.down += 70
    client.heard = true
    writeAnnounce(request, {
      infoHash: Buffer.alloc(20, 1),
      peerId: Buffer.from('-MU0100-0'.padEnd(20, '.')),
      address: Buffer.from([10, 0, 0, 1]),
      userKey: keyOf(1),
      event,
      uploaded: client.up,
      downloaded: client.down,
      left: event === Event.started ? 1 : 0,
    })
    for (const node of world.nodes) node.announce(request, world.now)
  }
  world.settle()
  for (const { engine } of [a, b]) {
    const { completed, downloaded, uploaded } = readUser(engine.access.users, 1)
    t.same([uploaded, downloaded, completed], [15_000n, 210n, 1])
  }
})
