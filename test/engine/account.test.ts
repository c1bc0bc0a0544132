import t from 'tap'
import { RESTART_SECONDS } from '../../src/engine/account.ts'
import { eachUserPeer } from '../../src/engine/inspect.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { readUser, type UserTotals, writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
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
    writeUser(users, user, { active: true, uploaded: 0, downloaded: 0, completed: 0, updated: 0 })
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
  const of = (user: number): UserTotals => readUser(users, user)
  return { engine, announce, of }
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
  t.match(of(1), { uploaded: 1500, downloaded: 300, completed: 0, updated: NOW + 120 })
  announce({ ...first, event: Event.completed, uploaded: 1600, downloaded: 900, left: 0 })
  announce({ ...first, event: Event.completed, uploaded: 1600, downloaded: 900, left: 0 })
  t.match(of(1), { uploaded: 1600, downloaded: 900, completed: 1 })
  announce({ ...first, event: Event.stopped, uploaded: 1700, downloaded: 900, left: 0 })
  announce({ ...first, event: Event.stopped, uploaded: 1700, downloaded: 900, left: 0 })
  t.match(of(1), { uploaded: 1700, downloaded: 900, completed: 1 })
})

t.test('stating less, and then more again, gives nothing twice', async t => {
  const { announce, of } = accounts()
  announce(first)
  for (const uploaded of [100, 50, 100, 20, 0, 100, 110])
    announce({ ...first, event: Event.none, uploaded })
  t.equal(of(1).uploaded, 110)
})

t.test('a client that starts anew begins from its new counts', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 5000 }, NOW + 100)
  const later = NOW + 100 + RESTART_SECONDS
  announce({ ...first, uploaded: 0 }, later)
  announce({ ...first, event: Event.none, uploaded: 70 }, later + 100)
  t.equal(of(1).uploaded, 5070)
})

t.test('a `started` that was held up on its way gives nothing twice', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 5000 }, NOW + 5)
  announce(first, NOW + 6)
  announce({ ...first, event: Event.none, uploaded: 6000 }, NOW + 65)
  t.equal(of(1).uploaded, 6000)
})

t.test('a client of which nothing is known gives nothing with its first announce', async t => {
  const { announce, of } = accounts()
  announce({ ...first, event: Event.none, uploaded: 9000 })
  t.equal(of(1).uploaded, 0)
  announce({ ...first, event: Event.none, uploaded: 9010 })
  t.equal(of(1).uploaded, 10)
})

t.test('two users behind one peer id and address are kept apart', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 100 })
  announce({ ...first, user: 2, event: Event.none, uploaded: 500 })
  t.equal(of(2).uploaded, 0)
  announce({ ...first, user: 2, event: Event.none, uploaded: 520 })
  t.match([of(1).uploaded, of(2).uploaded], [100, 20])
})

t.test('counts past 2^32 and of many sessions add up to the byte', async t => {
  const { announce, of } = accounts()
  announce(first)
  announce({ ...first, event: Event.none, uploaded: 2 ** 47 })
  announce({ ...first, event: Event.stopped, uploaded: 2 ** 47 + 3 })
  announce({ ...first, torrent: 2 })
  announce({ ...first, torrent: 2, event: Event.none, uploaded: 2 ** 40 + 1 })
  t.equal(of(1).uploaded, 2 ** 47 + 2 ** 40 + 4)
})

/**
 * Thousands of clients transfer, announce, restart, repeat themselves, and have their announces delivered late and out of order. The model
 * keeps for each session the highest counts that arrived, and knows nothing of tables.
 */
t.test(
  'thousands of clients with restarts, retries and reorderings are credited to the byte',
  async t => {
    const seed = Date.now() & 0xffff
    t.comment(`seed ${seed}`)
    const random = seededRandom(seed)
    const { announce, of } = accounts()
    const credited = new Map<number, { uploaded: number; downloaded: number }>()
    const known = new Map<string, { uploaded: number; downloaded: number }>()
    const deliver = (said: Said, now: number) => {
      announce(said, now)
      const name = `${said.torrent} ${said.peer}`
      const before = known.get(name)
      const sum = credited.get(said.user) ?? { uploaded: 0, downloaded: 0 }
      if (before) {
        sum.uploaded += Math.max(0, said.uploaded - before.uploaded)
        sum.downloaded += Math.max(0, said.downloaded - before.downloaded)
        before.uploaded = Math.max(before.uploaded, said.uploaded)
        before.downloaded = Math.max(before.downloaded, said.downloaded)
      } else if (said.event !== Event.stopped)
        known.set(name, { uploaded: said.uploaded, downloaded: said.downloaded })
      if (said.event === Event.stopped) known.delete(name)
      credited.set(said.user, sum)
    }
    let peers = 0
    const clients = Array.from({ length: 3000 }, (_, n) => ({
      user: 1 + (n % USERS),
      torrent: random(200),
      peer: peers++,
      uploaded: 0,
      downloaded: 0,
    }))
    let late: Said[] = []
    for (let n = 0; n < 60_000; n++) {
      const client = clients[random(clients.length)]
      if (!client) continue
      const action = random(100)
      client.uploaded += random(2 ** 30)
      client.downloaded += random(2 ** 20)
      let event: number = Event.none
      if (action < 5) event = Event.stopped
      if (action >= 95) {
        // A session that ends without a word: the next has another peer id and counts from 0.
        client.peer = clients.length + peers++
        client.uploaded = 0
        client.downloaded = 0
        event = Event.started
      }
      const said: Said = { ...client, event }
      const now = NOW + Math.floor(n / 1000)
      if (random(10) === 0) late.push(said)
      else deliver(said, now)
      if (random(8) === 0) deliver(said, now)
      if (event === Event.stopped) {
        client.uploaded = 0
        client.downloaded = 0
      }
      if (late.length > 50) {
        while (late.length > 0) deliver(late.splice(random(late.length), 1)[0] as Said, now)
        late = []
      }
    }
    for (let user = 1; user <= USERS; user++) t.match(of(user), credited.get(user) ?? {})
  },
)

t.test('a user’s peers are found and credited whichever protocol they speak', async t => {
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
  t.match(of(1), { uploaded: 500 })
  const found: string[] = []
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    eachUserPeer(engine, stripe, (hash, user, seen) => {
      found.push(`${hash.toString('hex')} ${user} ${seen}`)
    })
  }
  t.same(found.sort(), [1, 2].map(n => `${hashOf(n).toString('hex')} 1 ${NOW}`).sort())
})
