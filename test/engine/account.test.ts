import t from 'tap'
import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { eachUserPeer, readTorrent } from '../../src/engine/inspect.ts'
import { ENDPOINTS_MAX } from '../../src/engine/session-layout.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import {
  readUser,
  UserFlag,
  type UserTotals,
  userFlags,
  writeUser,
} from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { RESTART_SECONDS } from '../../src/protocol/session-totals.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const USERS = 50
const keyOfUser = (user: number): Buffer => Buffer.alloc(20, user)

type Said = {
  user: number
  torrent: number
  peer: number
  event: number
  uploaded: number
  downloaded: number
  left?: number
}

/** A tracker with users 1 to 50, and what it credits them with. */
function accounts() {
  const engine = newEngine(256 * 2 ** 20, SETTINGS, { users: true })
  const users = engine.access.users
  for (let user = 1; user <= USERS; user++) {
    writeUser(users, user, { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 })
    setValue(engine.access.userKeys, bytesOf(keyOfUser(user)).view, 0, user)
  }
  const announce = (said: Said, now = NOW) => {
    const { user, torrent, peer, left = 1, ...rest } = said
    announceTo(
      engine,
      { infoHash: hashOf(torrent), ...clientOf(peer), userKey: keyOfUser(user), left, ...rest },
      now,
    )
  }
  /** Announces from address `n`, of IPv4, IPv6 and WebSocket in turn. */
  const say = ({ user, torrent, peer, left = 1, ...rest }: Said, n: number, now = NOW) => {
    const { peerId } = clientOf(peer)
    const from = n % 3 === 2 ? websocketClientOf(n) : clientOf(n, n % 3 === 0 ? 4 : 6)
    const fields = { ...from, peerId, userKey: keyOfUser(user), left, ...rest }
    const reply = announceTo(engine, { infoHash: hashOf(torrent), ...fields }, now)
    return { ...reply, peers: [...reply.ipv4, ...reply.ipv6, ...reply.websocket] }
  }
  const of = (user: number): UserTotals => readUser(users, user)
  return { engine, announce, say, of }
}

const countsOf = (engine: Engine, torrent: number) =>
  readTorrent(engine, hashOf(torrent)) ?? { seeders: 0, leechers: 0 }

function sweepAll(engine: Engine, now: number): void {
  const cursor = createSweepCursor(0, 1)
  for (let stripe = 0; stripe < engine.stripeCount; ) if (sweepSlice(engine, cursor, now)) stripe++
}

const first: Said = {
  user: 1,
  torrent: 1,
  peer: 1,
  event: Event.started,
  uploaded: 0,
  downloaded: 0,
}

t.test('a user is credited with what the counts of its client grow by', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 1000, downloaded: 300 }, NOW + 60)
  announce({ ...first, event: Event.none, uploaded: 1500, downloaded: 300 }, NOW + 120)
  t.match(of(1), { uploaded: 1500n, downloaded: 300n, completed: 0, updated: NOW + 120 })
  announce({ ...first, event: Event.completed, uploaded: 1600, downloaded: 900, left: 0 })
  announce({ ...first, event: Event.completed, uploaded: 1600, downloaded: 900, left: 0 })
  t.match(of(1), { uploaded: 1600n, downloaded: 900n, completed: 1 })
  announce({ ...first, event: Event.stopped, uploaded: 1700, downloaded: 900, left: 0 })
  announce({ ...first, event: Event.stopped, uploaded: 1700, downloaded: 900, left: 0 })
  t.match(of(1), { uploaded: 1700n, downloaded: 900n, completed: 1 })
})

t.test('lower counts, and then higher ones, are not credited twice', async t => {
  const { announce, of } = accounts()
  announce(first)
  for (const uploaded of [100, 50, 100, 20, 0, 100, 110])
    announce({ ...first, event: Event.none, uploaded })
  t.equal(of(1).uploaded, 110n)
})

t.test('a restarted client is credited from its new counts', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 5000 }, NOW + 100)
  const later = NOW + 100 + RESTART_SECONDS
  announce({ ...first, uploaded: 0 }, later)
  announce({ ...first, event: Event.none, uploaded: 70 }, later + 100)
  t.equal(of(1).uploaded, 5070n)
})

t.test('a delayed `started` is not credited twice', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 5000 }, NOW + 5)
  announce(first, NOW + 6)
  announce({ ...first, event: Event.none, uploaded: 6000 }, NOW + 65)
  t.equal(of(1).uploaded, 6000n)
})

t.test('the first announce of an unknown client is not credited', async t => {
  const { announce, of } = accounts()
  announce({ ...first, event: Event.none, uploaded: 9000 })
  t.equal(of(1).uploaded, 0n)
  announce({ ...first, event: Event.none, uploaded: 9010 })
  t.equal(of(1).uploaded, 10n)
})

t.test('two users with one peer id and address are separate', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 100 })
  announce({ ...first, user: 2, event: Event.none, uploaded: 500 })
  t.equal(of(2).uploaded, 0n)
  announce({ ...first, user: 2, event: Event.none, uploaded: 520 })
  t.same([of(1).uploaded, of(2).uploaded], [100n, 20n])
})

t.test('counts past 2^32 and of many sessions add up to the byte', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 2 ** 47 })
  announce({ ...first, event: Event.stopped, uploaded: 2 ** 47 + 3 })
  announce({ ...first, torrent: 2 })
  announce({ ...first, torrent: 2, event: Event.none, uploaded: 2 ** 40 + 1 })
  t.equal(of(1).uploaded, 2n ** 47n + 2n ** 40n + 4n)
})

/**
 * Thousands of clients transfer and announce over one or several addresses, over IPv4, IPv6 and
 * WebSocket. They repeat and delay announces, stop, restart and change their address. Each user
 * must be credited with exactly the bytes that its clients transferred since their first announce.
 */
t.test(
  'thousands of clients with restarts, retries and moves are credited to the byte',
  async t => {
    const seed = testSeed(t)
    const random = seededRandom(seed)
    const { say, of } = accounts()
    const due = new Map<number, { uploaded: bigint; downloaded: bigint }>()
    let peers = 0
    const clients = Array.from({ length: 2000 }, (_, n) => newClient(1 + (n % USERS)))

    function newClient(user: number) {
      const addresses = Array.from({ length: 1 + random(3) }, () => random(1000))
      const client = { user, torrent: random(200), peer: peers++, uploaded: 0, downloaded: 0 }
      const late: { said: Said; address: number }[] = []
      return { ...client, addresses, late, isStarted: false }
    }
    type Client = ReturnType<typeof newClient>

    function deliver({ late }: Client, now: number): void {
      while (late.length > 0) {
        const [next] = late.splice(random(late.length), 1)
        if (next) say(next.said, next.address, now)
      }
    }

    function announceAll(client: Client, event: number, now: number): void {
      const { user, torrent, peer, uploaded, downloaded } = client
      const said: Said = { user, torrent, peer, uploaded, downloaded, event }
      for (const address of client.addresses) {
        if (event === Event.none && random(10) === 0) client.late.push({ said, address })
        else say(said, address, now)
        if (random(8) === 0) say(said, address, now)
      }
    }

    for (let n = 0; n < 30_000; n++) {
      const now = NOW + Math.floor(n / 100)
      const client = clients[random(clients.length)] as Client
      if (!client.isStarted) {
        client.isStarted = true
        client.uploaded = 0
        client.downloaded = 0
        announceAll(client, Event.started, now)
        continue
      }
      const uploaded = random(2 ** 30)
      const downloaded = random(2 ** 20)
      client.uploaded += uploaded
      client.downloaded += downloaded
      const sum = due.get(client.user) ?? { uploaded: 0n, downloaded: 0n }
      sum.uploaded += BigInt(uploaded)
      sum.downloaded += BigInt(downloaded)
      due.set(client.user, sum)
      const action = random(100)
      if (action < 10) {
        deliver(client, now)
        announceAll(client, Event.stopped, now)
        client.isStarted = false
        if (action < 3) Object.assign(client, newClient(client.user))
      } else {
        announceAll(client, Event.none, now)
        if (action > 95) client.addresses[random(client.addresses.length)] = random(1000)
        if (client.late.length > 4) deliver(client, now)
      }
    }
    for (const client of clients) {
      if (client.isStarted) announceAll(client, Event.stopped, NOW + 1000)
      deliver(client, NOW + 1000)
    }
    for (let user = 1; user <= USERS; user++) t.match(of(user), due.get(user) ?? {})
  },
)

t.test(
  'the peers of a session count once, and the client does not get its own addresses',
  async t => {
    const { engine, say } = accounts()
    const client: Said = { ...first, left: 5 }
    for (const address of [0, 1, 3]) say(client, address)
    t.match(say({ ...client, user: 2, peer: 6 }, 6), { seeders: 0, leechers: 2 })
    const own = [0, 1, 3].map(n => clientOf(n, n % 3 === 0 ? 4 : 6).address.toString('hex'))
    for (const address of [0, 1, 3]) {
      const { peers } = say({ ...client, event: Event.none }, address)
      t.equal(peers.length, address % 3 === 0 ? 1 : 0, 'the other client, which has IPv4')
      t.notOk(own.some(bytes => peers[0]?.startsWith(bytes)))
    }
    say({ ...client, event: Event.completed, left: 0 }, 0)
    say({ ...client, event: Event.completed, left: 0 }, 1)
    t.match(countsOf(engine, 1), { seeders: 1, leechers: 1, completed: 1 })
    say({ ...client, event: Event.completed, left: 0 }, 3)
    t.match(countsOf(engine, 1), { seeders: 1, leechers: 1, completed: 1 })
    say({ ...client, event: Event.stopped, left: 0 }, 1)
    t.match(
      countsOf(engine, 1),
      { seeders: 0, leechers: 1, completed: 1 },
      'all its peers are removed',
    )
  },
)

t.test('counts stay right when peers of a session expire one by one', async t => {
  const { engine, say } = accounts()
  const client: Said = { ...first, left: 0 }
  say(client, 0, NOW)
  say({ ...client, event: Event.none }, 1, NOW + 1000)
  t.match(countsOf(engine, 1), { seeders: 1, leechers: 0 })
  sweepAll(engine, NOW + SETTINGS.peersTimeout + 1)
  t.match(countsOf(engine, 1), { seeders: 1, leechers: 0 })
  sweepAll(engine, NOW + 1000 + SETTINGS.peersTimeout + 1)
  t.match(countsOf(engine, 1), { seeders: 0, leechers: 0 })
  say({ ...client, event: Event.none, uploaded: 700 }, 2, NOW + 9000)
  t.match(countsOf(engine, 1), { seeders: 1, leechers: 0 })
})

t.test('a session has a bounded number of addresses', async t => {
  const { engine, say, of } = accounts()
  for (let address = 0; address < 50; address++) {
    say({ ...first, event: Event.none, uploaded: address * 10 }, address)
    t.match(countsOf(engine, 1), { leechers: 1 })
  }
  let peers = 0
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    eachUserPeer(engine, stripe, () => peers++)
  }
  t.equal(peers, ENDPOINTS_MAX)
  t.equal(of(1).uploaded, 490n)
})

t.test('a client that is stopped and started again at once begins from 0', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.stopped, uploaded: 6000 }, NOW + 10)
  announce(first, NOW + 11)
  announce({ ...first, event: Event.stopped, uploaded: 6000 }, NOW + 12)
  t.equal(of(1).uploaded, 6000n, 'the `stopped` before the restart, repeated')
  announce({ ...first, event: Event.none, uploaded: 400 }, NOW + 15)
  t.equal(of(1).uploaded, 6400n)
})

t.test('a `stopped` that waited for the tracker is not credited twice', async t => {
  const { announce, of } = accounts()
  announce(first)
  const stopped = { ...first, event: Event.stopped, uploaded: 5000, downloaded: 70 }
  announce(stopped, NOW + 100)
  announce(first, NOW + 101)
  announce(stopped, NOW + 400)
  announce({ ...first, event: Event.none, uploaded: 30 }, NOW + 401)
  t.match(of(1), { uploaded: 5030n, downloaded: 70n })
})

t.test('totals saturate', async t => {
  const { engine, announce, of } = accounts()
  const bound = 2n ** 63n - 1n
  const totals = { active: true, uploaded: bound - 5n, downloaded: 0n, completed: 0, updated: 0 }
  writeUser(engine.access.users, 1, totals)
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 3, downloaded: 2 ** 40 })
  t.match(of(1), { uploaded: bound - 2n, downloaded: 2n ** 40n })
  announce({ ...first, event: Event.none, uploaded: 2 ** 48 })
  t.equal(of(1).uploaded, bound)
})

t.test('growth above the maximum rate is cut off and flagged', async t => {
  const { engine, announce, of } = accounts()
  const accounting = { ...NO_ACCOUNTING, maxRate: 1000, maxRateBurst: 2, suspiciousRate: 100 }
  engine.settings = { ...engine.settings, accounting }
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 900 }, NOW + 10)
  t.match(of(1), { uploaded: 900n })
  t.equal(userFlags(engine.access.users, 1), 0)
  announce({ ...first, event: Event.none, uploaded: 50_900 }, NOW + 20)
  t.match(of(1), { uploaded: 12_900n }, 'ten seconds and the burst')
  t.equal(userFlags(engine.access.users, 1), UserFlag.grewTooFast)
  announce({ ...first, event: Event.none, uploaded: 51_000 }, NOW + 30)
  t.match(of(1), { uploaded: 13_000n }, 'the excess is not credited later')
})

t.test('upload without a leecher can be excluded', async t => {
  const { engine, announce, of } = accounts()
  const accounting = { ...NO_ACCOUNTING, creditIdleUpload: false }
  engine.settings = { ...engine.settings, accounting }
  announce({ ...first, left: 0 })
  announce({ ...first, left: 0, event: Event.none, uploaded: 500, downloaded: 5 })
  t.match(of(1), { uploaded: 0n, downloaded: 5n })
  announce({ ...first, peer: 2, left: 9 })
  announce({ ...first, left: 0, event: Event.none, uploaded: 800, downloaded: 5 })
  t.match(of(1), { uploaded: 300n })
})

t.test('the peers of a user are found and credited with every protocol', async t => {
  const { announce, engine, of } = accounts()
  announce({ ...first, torrent: 1 })
  const websocket = {
    infoHash: hashOf(2),
    ...websocketClientOf(7),
    userKey: keyOfUser(1),
    left: 1,
  }
  announceTo(engine, websocket)
  announceTo(engine, { ...websocket, uploaded: 500 })
  t.match(of(1), { uploaded: 500n })
  const found: string[] = []
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    eachUserPeer(engine, stripe, (hash, user, seen) => {
      found.push(`${hash.toString('hex')} ${user} ${seen}`)
    })
  }
  t.same(found.sort(), [1, 2].map(n => `${hashOf(n).toString('hex')} 1 ${NOW}`).sort())
})
