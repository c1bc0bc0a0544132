import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { repositoryRoot } from '../fixtures/repository-root.ts'
import { databasesOn } from './fixtures/server-database.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'
import { all, type MakeDatabase, open, type TestDatabase } from './fixtures/test-database.ts'

/** Seconds that opening the database may take. */
const START_SECONDS_MAX = 300

const twenty = (byte: string) => byte.repeat(20)

function statementsOf({ engine }: TestDatabase): string[] {
  const file = join(repositoryRoot(), 'test/fixtures/torrust-actix', `${engine}.sql`)
  return readFileSync(file, 'utf8')
    .replaceAll(/^--.*$/gm, '')
    .split(';\n')
    .map(statement => statement.trim())
    .filter(statement => statement !== '')
}

async function checkDatabase(t: Test, make: MakeDatabase): Promise<void> {
  const made = await make(t)
  for (const statement of statementsOf(made)) await made.run(statement)
  const database = await open(t, made)
  await database.checkTables()
  t.same(await all(database.torrents), [
    { hash: twenty('01'), seeds: 3, peers: 4, completed: 77 },
    { hash: twenty('02'), seeds: 0, peers: 0, completed: 0 },
    { hash: twenty('03'), seeds: 1, peers: 0, completed: 4294967295 },
  ])
  const lists = [await all(database.whitelist), await all(database.blacklist)]
  t.same(
    lists.map(rows => rows.map(({ hash }) => hash)),
    [[twenty('01'), twenty('02'), twenty('03')], [twenty('08')]],
  )
  t.match(await all(database.users), [
    { key: twenty('e0'), uploaded: 0n, downloaded: 0n, completed: 0, active: false },
    {
      id: '550e8400-e29b-41d4-a716-446655440000',
      key: twenty('d0'),
      uploaded: 10737418240n,
      downloaded: 5368709120n,
      completed: 25,
      updated: 1706976000,
      active: true,
    },
  ])
  const keys = new Map((await all(database.keys)).map(({ hash, timeout }) => [hash, timeout]))
  t.equal(keys.get(twenty('a0')), 0, 'the lifetime 0')
  const now = Date.now() / 1000
  for (const [key, lifetime] of [
    [twenty('b0'), 60],
    [twenty('c0'), 2592000],
  ] as const) {
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
