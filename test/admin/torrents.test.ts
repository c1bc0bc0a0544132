import t, { type Test } from 'tap'
import { type TorrentRules, Torrents } from '../../src/admin/torrents.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { totals } from '../../src/engine/totals.ts'
import { Event } from '../../src/protocol/records.ts'
import { sqliteDatabase } from '../database/fixtures/sqlite-database.ts'
import { all, openNew } from '../database/fixtures/test-database.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
} from '../fixtures/tracker-client.ts'

const hex = (n: number) => hashOf(n).toString('hex')
const LATER = NOW + SETTINGS.peersTimeout + 1

/** A tracker on a new database, with torrent 1 in it. */
async function tracker(t: Test, rules: Partial<TorrentRules>, memoryBytes?: number) {
  const database = await openNew(t, await sqliteDatabase(t), {})
  await database.createTables()
  const engine = newEngine(memoryBytes, { ...SETTINGS, persistent: true, notePeers: true })
  const clock = { now: NOW }
  const torrents = new Torrents(
    engine,
    database.torrents,
    {
      insertVacant: false,
      deleteRows: true,
      deleteSilent: false,
      updateCompleted: true,
      updatePeers: false,
      peersTimeout: SETTINGS.peersTimeout,
      ...rules,
    },
    () => clock.now,
  )
  await torrents.set([[hex(1), 5]])
  for (const n of [1, 2]) {
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(1), left: 9, event: Event.started })
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(1), left: 0, event: Event.completed })
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(2), left: 9 })
  }
  const rows = async () => {
    await torrents.flush()
    const found = await all(database.torrents)
    return Object.fromEntries(found.map(({ hash, ...counts }) => [hash, counts]))
  }
  const sweep = () => {
    const cursor = createSweepCursor(0, 1)
    for (let stripe = 0; stripe < engine.stripeCount; ) {
      if (sweepSlice(engine, cursor, clock.now)) stripe++
    }
  }
  return { engine, torrents, clock, rows, sweep, database }
}

t.test('only the downloads of torrents in the database are stored', async t => {
  const { rows } = await tracker(t, {})
  t.same(await rows(), { [hex(1)]: { seeds: 0, peers: 0, completed: 6 } })
})

t.test('insert_vacant stores torrents that are missing in the database', async t => {
  const { rows } = await tracker(t, { insertVacant: true })
  t.match(await rows(), { [hex(1)]: { completed: 6 }, [hex(2)]: { completed: 1 } })
})

t.test('update_peers stores the current counts of peers', async t => {
  const { clock, rows, sweep } = await tracker(t, { updatePeers: true })
  t.match(await rows(), { [hex(1)]: { seeds: 1, peers: 1 } })
  clock.now = LATER
  sweep()
  t.match(await rows(), { [hex(1)]: { seeds: 0, peers: 0, completed: 6 } })
})

t.test('without update_completed the count of downloads stays as it was entered', async t => {
  const { rows } = await tracker(t, { updateCompleted: false, updatePeers: true })
  t.match(await rows(), { [hex(1)]: { seeds: 1, peers: 1, completed: 5 } })
})

t.test(
  'a torrent of the database stays without peers; with delete_silent_torrents it is deleted',
  async t => {
    const kept = await tracker(t, {})
    kept.clock.now = LATER
    kept.sweep()
    t.match(await kept.rows(), { [hex(1)]: { completed: 6 } })
    // A changed torrent waits for the flush before it is removed.
    kept.sweep()
    t.match(await kept.torrents.of([hex(1), hex(2)]), [{ completed: 6, seeders: 0 }, undefined])

    const removed = await tracker(t, { deleteSilent: true })
    await removed.torrents.flush()
    removed.clock.now = LATER
    removed.sweep()
    t.same(await removed.rows(), {})
    removed.sweep()
    t.same(await removed.torrents.of([hex(1)]), [undefined])
  },
)

t.test('two trackers on one database add their downloads', async t => {
  const first = await tracker(t, { insertVacant: true })
  const countOf = async (n: number) => (await first.rows())[hex(n)]?.completed
  t.equal(await countOf(1), 6)
  const engine = newEngine(undefined, { ...SETTINGS, persistent: true })
  const rules = { insertVacant: true, deleteRows: true, deleteSilent: false, updatePeers: false }
  const times = { updateCompleted: true, peersTimeout: SETTINGS.peersTimeout }
  const second = new Torrents(engine, first.database.torrents, { ...rules, ...times }, () => NOW)
  await second.load()
  for (const peer of [11, 12, 13]) {
    for (const [n, source] of [
      [1, engine],
      [3, engine],
      [3, first.engine],
    ] as const) {
      const client = { infoHash: hashOf(n), ...clientOf(peer) }
      announceTo(source, { ...client, left: 9, event: Event.started })
      announceTo(source, { ...client, left: 0, event: Event.completed })
    }
    await second.flush()
    await first.torrents.flush()
  }
  announceTo(first.engine, { infoHash: hashOf(1), ...clientOf(2), left: 0, event: Event.completed })
  t.equal(await countOf(1), 10)
  t.equal(await countOf(3), 6, 'also of a torrent that both added')
  await first.torrents.set([[hex(1), 100]])
  await second.flush()
  t.equal(await countOf(1), 100, 'a count that was set is not added to')
})

t.test('counts that could not be written are written at the next attempt', async t => {
  const { database, rows, torrents } = await tracker(t, {})
  const { count } = database.torrents
  Object.assign(database.torrents, { count: () => Promise.reject(new Error('away')) })
  await t.rejects(torrents.flush(), { message: 'away' })
  Object.assign(database.torrents, { count })
  t.match(await rows(), { [hex(1)]: { completed: 6 } })
})

t.test('one address does not get its torrents into the database', async t => {
  const { engine, rows } = await tracker(t, { insertVacant: true })
  for (const n of [3, 4]) {
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(3), left: 0, event: Event.completed })
  }
  t.strictSame(Object.keys(await rows()).sort(), [hex(1), hex(2)].sort())
  announceTo(engine, { infoHash: hashOf(4), ...clientOf(4), left: 9 })
  t.match(await rows(), { [hex(4)]: { completed: 1 } })
})

t.test(
  'full memory evicts torrents without peers, and their counts are restored later',
  async t => {
    const { engine, rows, torrents } = await tracker(t, {}, 2 ** 20)
    const count = 40_000
    const stored = Array.from({ length: count }, (_, n) => [hex(n + 10), 7] as const)
    for (let n = 0; n < count && totals(engine).torrents === n + 2; n += 100) {
      await torrents.set(stored.slice(n, n + 100))
    }
    const full = totals(engine).torrents
    t.ok(full < count, `${full} torrents fill the memory`)
    for (let n = 0; n < 200; n++) {
      const reply = announceTo(engine, { infoHash: hashOf(50_000 + n), ...clientOf(n), left: 9 })
      t.equal(reply.leechers, 1, 'a new torrent finds space')
    }
    const known = await torrents.of([hex(10), hex(11), hex(12)])
    t.match(known, [{ completed: 7 }, { completed: 7 }, { completed: 7 }], 'memory or database')
    for (let n = 10; n < 40; n++) {
      announceTo(engine, { infoHash: hashOf(n), ...clientOf(5), left: 9 })
      announceTo(engine, { infoHash: hashOf(n), ...clientOf(5), left: 0, event: Event.completed })
    }
    const after = await rows()
    const counts = Array.from({ length: 30 }, (_, n) => after[hex(n + 10)]?.completed)
    t.strictSame(counts, new Array(30).fill(8))
  },
)

t.test('the largest torrents come first', async t => {
  const { torrents } = await tracker(t, {})
  t.match(await torrents.top(1), [{ seeders: 1, leechers: 1 }])
  t.equal((await torrents.top(10)).length, 2)
})
