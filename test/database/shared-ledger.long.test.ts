import t, { type Test } from 'tap'
import type { Database } from '../../src/database/database.ts'
import type { Batch, SharedRow } from '../../src/database/ledger-rows.ts'
import { openDatabase } from '../../src/database/open.ts'
import { createSessionTotals } from '../../src/protocol/session-totals.ts'
import { startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { hash, user, uuid } from './fixtures/rows.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { all, databaseConfig, type MakeDatabase, openNew } from './fixtures/test-database.ts'

const NODES = 3
const USERS = 5
const START = 1_700_000_000
let batches = 0

/** A session of user `n` in a torrent after `up` bytes; its first announce reported 100. */
function session(n: number, torrent: number, up: number, more: Partial<SharedRow> = {}): SharedRow {
  const times = { seen: START + up, first: START, restarted: START }
  const counts = { uploaded: 100 + up, baseUp: 100, rawUp: up, creditUp: up }
  const ids = { user: uuid(n), hash: hash(torrent), peerId: hash(n + 1000) }
  return { ...createSessionTotals(), ...times, ...counts, ...ids, counted: 0, ...more }
}

function batchOf(...rows: SharedRow[]): Batch {
  const users = new Map<string, SharedRow[]>()
  for (const row of rows) users.set(row.user, [...(users.get(row.user) ?? []), row])
  return {
    id: ++batches,
    attempted: false,
    users: [...users].map(([id, own]) => ({
      user: id,
      uploaded: 0n,
      downloaded: 0n,
      completed: 0,
      updated: 0,
      torrents: new Map(),
      sessions: new Map(),
      shared: new Map(own.map(row => [row.hash + row.peerId, row])),
    })),
  }
}

/** One database as several nodes open it. */
async function openNodes(t: Test, make: MakeDatabase): Promise<Database[]> {
  const made = await make(t)
  const db = await openNew(t, made)
  const none = { uploaded: 0n, completed: 0 }
  await db.users.save(Array.from({ length: USERS }, (_, n) => user(uuid(n), hash(n), none)))
  await db.torrents.save([1, 2].map(n => ({ hash: hash(n), seeds: 0, peers: 0, completed: 0 })))
  const { database, database_structure: structure } = databaseConfig(made)
  const nodes = await Promise.all(
    Array.from({ length: NODES }, () =>
      openDatabase(database, structure, 'hex', { countsDownloads: true }),
    ),
  )
  t.teardown(() => Promise.all(nodes.map(node => node.close())))
  // At once: nodes that start together create the same tables.
  await Promise.all(nodes.map(node => node.ledger.prepare()))
  return nodes
}

const uploads = async (db: Database) => (await all(db.users)).map(row => Number(row.uploaded))
const downloads = async (db: Database) =>
  (await all(db.torrents)).sort((a, b) => (a.hash < b.hash ? -1 : 1)).map(row => row.completed)

function testShared(name: string, make: MakeDatabase): void {
  t.test(`${name}: nodes that write the same sessions credit them once`, async t => {
    const nodes = await openNodes(t, make)
    const [db] = nodes as [Database]
    const random = seededRandom(3)
    const highest = new Map<string, SharedRow>()
    for (let round = 0; round < 12; round++) {
      // Each node knows another version of each session, and all of them write at once.
      const writes = nodes.map(node => {
        const rows: SharedRow[] = []
        for (let n = 0; n < USERS; n++) {
          for (const torrent of [1, 2]) {
            const row = session(n, torrent, random(100 * (round + 1)))
            const known = highest.get(`${n} ${torrent}`)
            if (!known || known.rawUp < row.rawUp) highest.set(`${n} ${torrent}`, row)
            if (random(3) > 0) rows.push(row)
            else if (known) rows.push({ ...known })
          }
        }
        return node.ledger.write(batchOf(...rows))
      })
      await Promise.all(writes)
    }
    const last = [...highest.values()]
    for (const node of nodes) await node.ledger.write(batchOf(...last.map(row => ({ ...row }))))
    const expected = Array.from({ length: USERS }, (_, n) =>
      last.filter(row => row.user === uuid(n)).reduce((sum, row) => sum + row.creditUp, 0),
    )
    t.same(await uploads(db), expected)
    const rows = await db.ledger.torrentsOf(uuid(1), '', 10)
    t.equal(Number(rows.reduce((sum, row) => sum + row.creditedUp, 0n)), expected[1])
    const loaded = []
    for await (const part of db.ledger.loadSessions(0, 1000)) loaded.push(...part)
    t.equal(loaded.length, 2 * USERS)
    t.match(
      loaded.find(row => row.user === uuid(1) && row.hash === hash(1))?.totals,
      { rawUp: highest.get('1 1')?.rawUp, baseUp: 100 },
      'totals are loaded',
    )
  })

  t.test(`${name}: a batch reports its own growth, and skips removed users`, async t => {
    const [a, b] = (await openNodes(t, make)) as [Database, Database]
    const first = batchOf(session(1, 1, 500), session(USERS + 1, 1, 7))
    await a.ledger.write(first)
    t.match(first.users, [
      { uploaded: 500n, stored: { uploaded: 500n } },
      { uploaded: 0n, stored: undefined },
    ])
    const second = batchOf(session(1, 1, 700), session(1, 2, 5))
    await b.ledger.write(second)
    t.match(second.users, [{ uploaded: 205n, stored: { uploaded: 705n } }])
    t.equal(await a.ledger.write(first), 0, 'an older version writes nothing')
    t.match(first.users[0], { uploaded: 0n, stored: { uploaded: 705n } })
    t.same(await uploads(a), [0, 705, 0, 0, 0])
  })

  t.test(`${name}: a download that two nodes counted is counted once`, async t => {
    const [a, b] = (await openNodes(t, make)) as [Database, Database]
    const done = (torrent: number, counted: number) =>
      batchOf(session(1, torrent, 10, { completed: 1, counted }))
    const add = (db: Database) =>
      db.torrents.count(
        [{ hash: hash(1), seeds: 0, peers: 0, completed: 1 }],
        ['completed'],
        'completed',
      )
    for (const db of [a, b]) {
      await add(db)
      await db.ledger.write(done(1, 1))
    }
    // The node to which the second torrent was completed died before it wrote.
    for (const db of [a, b]) await db.ledger.write(done(2, 0))
    t.same(await downloads(a), [1, 1])
    t.equal((await all(a.users)).find(row => row.id === uuid(1))?.completed, 2)
  })

  t.test(`${name}: sessions of a single node continue with their counts`, async t => {
    const made = await make(t)
    const db = await openNew(t, made)
    await db.users.save([user(uuid(1), hash(1), { uploaded: 40n })])
    await db.ledger.prepare()
    const { counted, ...row } = session(1, 1, 40)
    const single = batchOf()
    await db.ledger.write({
      ...single,
      users: [
        {
          ...(batchOf({ ...row, counted }).users[0] as Batch['users'][0]),
          sessions: new Map([['', row]]),
        },
      ],
    })
    const { database, database_structure: structure } = databaseConfig(made)
    const node = await openDatabase(database, structure, 'hex', { countsDownloads: true })
    t.teardown(() => node.close())
    await node.ledger.prepare()
    const loaded = []
    for await (const part of node.ledger.loadSessions(0, 10)) loaded.push(...part)
    t.match(loaded, [{ uploaded: 140, totals: { uploaded: 140, baseUp: 140, rawUp: 0 } }])
    const next = { ...createSessionTotals(), ...loaded[0]?.totals, uploaded: 200, rawUp: 60 }
    const ids = { user: uuid(1), hash: row.hash, peerId: row.peerId, counted: 0 }
    await node.ledger.write(batchOf({ ...next, creditUp: 60, ...ids }))
    t.same(await uploads(node), [100])
  })
}

for (const [engine, start] of [
  ['pgsql', startPostgres],
  ['mysql', startMariadb],
] as const) {
  const server = await start(t)
  if (server) testShared(engine, databasesOn(engine, server))
  else t.test(engine, { skip: 'not installed' }, async () => undefined)
}
