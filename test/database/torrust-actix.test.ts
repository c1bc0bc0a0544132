import t, { type Test } from 'tap'
import { startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { DUMPED, loadDump } from '../fixtures/torrust-actix-dumps.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'
import { all, type MakeDatabase, open } from './fixtures/test-database.ts'

/** Seconds that opening the database may take. */
const START_SECONDS_MAX = 300

const byHash = (a: { hash: string }, b: { hash: string }) => a.hash.localeCompare(b.hash)

async function checkDatabase(t: Test, make: MakeDatabase): Promise<void> {
  const { torrent, announced, largest, blocked, user, inactive, counts, updated } = DUMPED
  const made = await make(t)
  await loadDump(made.engine, made.run)
  const database = await open(t, made)
  await database.checkTables()
  t.same((await all(database.torrents)).sort(byHash), [
    { hash: torrent, seeds: 1, peers: 1, completed: 78 },
    { hash: announced, seeds: 0, peers: 1, completed: 0 },
    { hash: largest, seeds: 0, peers: 0, completed: 4294967295 },
  ])
  const lists = [await all(database.whitelist), await all(database.blacklist)]
  t.same(
    lists.map(rows => rows.map(({ hash }) => hash).sort()),
    [[torrent, announced, largest], [blocked]],
  )
  const users = new Map((await all(database.users)).map(row => [row.id, row]))
  t.match(users.get(inactive.id), {
    key: inactive.key,
    uploaded: 0n,
    downloaded: 0n,
    completed: 0,
    active: false,
  })
  t.match(users.get(user.id), {
    key: user.key,
    uploaded: BigInt(counts.uploaded),
    downloaded: BigInt(counts.downloaded),
    completed: counts.completed,
    updated,
    active: true,
  })
  const keys = new Map((await all(database.keys)).map(({ hash, timeout }) => [hash, timeout]))
  const now = Date.now() / 1000
  for (const [key, lifetime] of Object.entries(DUMPED.keys)) {
    if (lifetime === 0) {
      t.equal(keys.get(key), 0, 'the lifetime 0')
      continue
    }
    const left = (keys.get(key) ?? 0) - now
    const isStarted = left <= lifetime && left > lifetime - START_SECONDS_MAX
    t.ok(isStarted, `the lifetime ${lifetime} begins now (${left} seconds left)`)
  }
}

t.test('a database of Torrust-Actix in SQLite', t => checkDatabase(t, sqliteDatabase))

for (const [engine, start] of [
  ['mysql', startMariadb],
  ['pgsql', startPostgres],
] as const) {
  t.test(`a database of Torrust-Actix in ${engine}`, async t => {
    const server = await start(t)
    if (server) await checkDatabase(t, databasesOn(engine, server))
    else t.pass('the tables are read', { skip: `no server for ${engine} is installed` })
  })
}
