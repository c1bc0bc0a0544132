import { join } from 'node:path'
import t, { type Test } from 'tap'
import { NO_RULES } from '../../src/engine/access.ts'
import { createTables, openEngine } from '../../src/engine/engine.ts'
import { restoreSession, SESSION_PARTITIONS, takeSessions } from '../../src/engine/session-batch.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { downloadingOf, readUser, writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import type { SessionCounts } from '../../src/protocol/session-counts.ts'
import { restoreSnapshot } from '../../src/snapshot/read.ts'
import { writeSnapshot } from '../../src/snapshot/write.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  leaveFrom,
  NOW,
  SETTINGS,
  scrapeFrom,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const TORRENT = hashOf(1)
const keyOfUser = (user: number): Buffer => {
  const key = Buffer.alloc(20, 7)
  key.writeUInt32BE(user)
  return key
}

/** A tracker whose users have the numbers of their index in `users`, plus 1. */
function tracker(users: readonly number[]) {
  const tables = createTables(64 * 2 ** 20, { ...NO_RULES, users: true, anonymousScrape: true })
  const engine = openEngine(tables, SETTINGS)
  const numberOf = (user: number) => users.indexOf(user) + 1
  for (const user of users) {
    const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
    writeUser(engine.access.users, numberOf(user), totals)
    setValue(engine.access.userKeys, bytesOf(keyOfUser(user)).view, 0, numberOf(user))
  }
  /** Announces client `id` of a user over IPv4 (4), IPv6 (6), or a WebSocket (0). */
  const announce = (
    user: number,
    id: number,
    family: 0 | 4 | 6,
    more: { left?: number; uploaded?: number; event?: number; from?: number } = {},
    now = NOW,
  ) => {
    const { from = id, ...counts } = more
    const address = family === 0 ? websocketClientOf(from) : clientOf(from, family)
    const { peerId } = clientOf(id)
    const fields = { ...address, peerId, userKey: keyOfUser(user), infoHash: TORRENT }
    return announceTo(engine, { ...fields, left: 0, ...counts }, now)
  }
  /** Returns the sessions that a database would store now, by user. */
  const stored = () => {
    const all: { user: number; counts: SessionCounts }[] = []
    for (let partition = 0; partition < SESSION_PARTITIONS; partition++) {
      for (const counts of takeSessions(engine, partition)) {
        all.push({ user: users[counts.user - 1] as number, counts })
      }
    }
    return all
  }
  const load = (sessions: ReturnType<typeof stored>) => {
    for (const { user, counts } of sessions) restoreSession(engine, numberOf(user), counts)
  }
  const scrape = () => scrapeFrom(engine, [TORRENT])[0]
  const sweep = (now: number) => {
    const cursor = createSweepCursor(0, 1)
    for (let n = 0; n < engine.stripeCount; ) if (sweepSlice(engine, cursor, now)) n++
  }
  return { tables, engine, announce, stored, load, scrape, sweep, numberOf }
}

type Tracker = ReturnType<typeof tracker>

/** Restarts the tracker: the next one knows the snapshot of `file` and the sessions. */
async function restart(
  file: string,
  before: Tracker,
  users: readonly number[],
  sessions = before.stored(),
): Promise<Tracker> {
  const after = tracker(users)
  after.load(sessions)
  const { tables } = after
  const report = await restoreSnapshot({ tables, settings: SETTINGS, file, nowSeconds: NOW + 10 })
  if (report.file !== file) throw new Error('the snapshot was not restored')
  return after
}

const fileOf = (t: Test) => join(t.testdir({}), 'swarms')

t.test('restored addresses of one client count once before it announces', async t => {
  const file = fileOf(t)
  const before = tracker([1, 2, 3])
  before.announce(1, 1, 4)
  before.announce(1, 1, 6)
  before.announce(2, 2, 4, { left: 5 })
  before.announce(2, 2, 6, { left: 5 })
  before.announce(2, 2, 6, { left: 5, from: 77 })
  before.announce(3, 3, 4, { left: 5 })
  t.match(before.scrape(), { seeders: 1, leechers: 2 })
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  // The users have other numbers after the restart.
  const after = await restart(file, before, [9, 3, 2, 1])
  t.match(after.scrape(), { seeders: 1, leechers: 2 })
  t.equal(downloadingOf(after.engine.access.users, after.numberOf(2)), 1)

  after.announce(2, 2, 4, { left: 0, event: Event.completed }, NOW + 20)
  t.match(after.scrape(), { seeders: 2, leechers: 1, completed: 1 })
  after.announce(1, 1, 6, { event: Event.stopped, uploaded: 500 }, NOW + 30)
  t.match(after.scrape(), { seeders: 1, leechers: 1 }, 'a stop removes all addresses')
  t.equal(readUser(after.engine.access.users, after.numberOf(1)).uploaded, 500n)
  after.sweep(NOW + 20 + SETTINGS.peersTimeout + 1)
  t.match(after.scrape(), { seeders: 0, leechers: 0 }, 'the correction ends with the peers')
  t.equal(downloadingOf(after.engine.access.users, after.numberOf(2)), 0)
})

t.test('a client that stopped after the snapshot does not return with it', async t => {
  const file = fileOf(t)
  const before = tracker([1, 2])
  before.announce(1, 1, 4)
  before.announce(1, 1, 6)
  before.announce(2, 2, 4)
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  const unstopped = before.stored()
  before.announce(1, 1, 4, { event: Event.stopped }, NOW + 5)
  const after = await restart(
    file,
    before,
    [1, 2],
    [...before.stored(), ...unstopped.filter(({ user }) => user === 2)],
  )
  t.match(after.scrape(), { seeders: 1 })
  t.match((await restart(file, before, [1, 2], unstopped)).scrape(), { seeders: 2 })
})

t.test('restored peers join what their client has announced meanwhile', async t => {
  const file = fileOf(t)
  const before = tracker([1, 2])
  before.announce(1, 1, 4)
  before.announce(1, 1, 6)
  for (const from of [10, 11, 12, 13]) before.announce(2, 2, 4, { from })
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  const sessions = before.stored()
  const after = tracker([1, 2])
  after.load(sessions)
  after.announce(1, 1, 0, {}, NOW + 3)
  after.announce(1, 1, 6, {}, NOW + 3)
  for (const from of [14, 15]) after.announce(2, 2, 4, { from }, NOW + 3)
  const { tables } = after
  await restoreSnapshot({ tables, settings: SETTINGS, file, nowSeconds: NOW + 10 })
  t.match(after.scrape(), { seeders: 2 })
  after.announce(2, 2, 4, { from: 15, event: Event.stopped }, NOW + 12)
  t.match(after.scrape(), { seeders: 1 })
  leaveFrom(after.engine, { ...websocketClientOf(1), infoHash: TORRENT })
  t.match(after.scrape(), { seeders: 1 }, 'IPv4 and IPv6 remain')
  after.announce(1, 1, 4, { event: Event.stopped }, NOW + 12)
  t.match(after.scrape(), { seeders: 0 })
})

t.test('peers of removed users stay out where users are loaded from a database', async t => {
  const file = fileOf(t)
  const before = tracker([1, 2])
  before.announce(1, 1, 4)
  before.announce(1, 1, 6)
  before.announce(1, 1, 4, { from: 3 })
  before.announce(2, 2, 4)
  before.announce(2, 2, 6)
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  const after = tracker([9, 2])
  after.load(before.stored().filter(({ user }) => user === 2))
  const options = { tables: after.tables, settings: SETTINGS, file, nowSeconds: NOW + 10 }
  const report = await restoreSnapshot({ ...options, usersAreLoaded: true })
  t.match(report, { torrents: 1, peers: [1, 1], newer: 3 })
  t.match(after.scrape(), { seeders: 1, leechers: 0 })
  const { ipv4 } = after.announce(9, 9, 4, { left: 5 }, NOW + 20)
  t.equal(ipv4.length, 1, 'only the peer of the other user is handed out')

  const open = createTables(64 * 2 ** 20, NO_RULES)
  const all = await restoreSnapshot({ ...options, tables: open, usersAreLoaded: true })
  t.match(all, { peers: [3, 2], newer: 0 }, 'peers have no owners where users are off')
})

t.test('peers of unknown users and without a known session are restored all the same', async t => {
  const file = fileOf(t)
  const before = tracker([1, 2])
  before.announce(1, 1, 4)
  before.announce(2, 2, 4)
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  const after = await restart(file, before, [2], [])
  t.match(after.scrape(), { seeders: 2 })
  after.announce(2, 2, 4, { uploaded: 700 }, NOW + 20)
  after.announce(2, 2, 6, { uploaded: 900 }, NOW + 30)
  t.match(after.scrape(), { seeders: 2 })
  t.equal(readUser(after.engine.access.users, 1).uploaded, 200n, 'the first announce gives nothing')
})

t.test('more users than fit into a section', async t => {
  const file = fileOf(t)
  const users = Array.from({ length: 12_000 }, (_, n) => n + 1)
  const before = tracker(users)
  const announced = users.filter(user => user % 100 === 0)
  for (const user of announced) {
    before.announce(user, user, 4)
    before.announce(user, user, 6)
  }
  await writeSnapshot({ tables: before.tables, file, nowSeconds: NOW })
  const after = await restart(file, before, users.toReversed())
  t.match(after.scrape(), { seeders: announced.length })
})
