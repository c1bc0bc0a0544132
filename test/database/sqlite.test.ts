import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import Libsql from 'libsql'
import t from 'tap'
import { openDatabase } from '../../src/database/open.ts'
import { openSqlite } from '../../src/database/sqlite.ts'
import { ExitStatus } from '../../src/errors.ts'
import { testBehaviours } from './fixtures/behaviours.ts'
import { hashes } from './fixtures/rows.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'
import { all, databaseConfig, openNew } from './fixtures/test-database.ts'

testBehaviours(sqliteDatabase)

function openFile(file: string) {
  const config = databaseConfig({ engine: 'sqlite3', path: `sqlite://${file}` })
  return openDatabase(config.database, config.database_structure)
}

t.test('a file is created with its folder; one that cannot be opened is named', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-sqlite-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const db = await openFile(join(folder, 'a', 'b', 'muster.db'))
  await db.ping()
  await db.close()
  writeFileSync(
    join(folder, 'file'),
    'this is not a database, but longer than the header of one'.repeat(9),
  )
  await t.rejects(openFile(join(folder, 'file', 'muster.db')), {
    exitStatus: ExitStatus.unavailable,
    message: /^database.path: .*file\/muster.db: /,
  })
  await t.rejects(openFile(folder), { exitStatus: ExitStatus.unavailable, message: folder })
  await t.rejects(openFile(join(folder, 'file')), {
    exitStatus: ExitStatus.config,
    message: /^database.path: .*file: .*not a database/,
  })
})

t.test('every commit waits for the disk, and readers do not wait for writers', async t => {
  const database = await sqliteDatabase(t)
  const { kysely } = openSqlite(database.path.replace('sqlite://', ''))
  t.teardown(() => kysely.destroy())
  const synchronous = await sql<{ synchronous: number }>`pragma synchronous`.execute(kysely)
  const journal = await sql<{ journal_mode: string }>`pragma journal_mode`.execute(kysely)
  t.match([synchronous.rows, journal.rows], [[{ synchronous: 2 }], [{ journal_mode: 'wal' }]])
})

t.test('waiting for the lock of another process does not block other work', async t => {
  const database = await sqliteDatabase(t)
  const db = await openNew(t, database)
  const other = new Libsql(database.path.replace('sqlite://', ''))
  t.teardown(() => other.close())
  other.exec('begin immediate')
  let saved = false
  const saving = db.whitelist.save(hashes(5)).then(() => {
    saved = true
  })
  t.same(await all(db.whitelist), [], 'loading goes on')
  t.notOk(saved)
  other.exec('commit')
  await saving
  t.same(await all(db.whitelist), hashes(5))
})

t.test('long writes and loads yield to the event loop', async t => {
  const db = await openNew(t, await sqliteDatabase(t), {}, 100)
  const turnsDuring = async (work: Promise<unknown>) => {
    let turns = 0
    let working = true
    const done = work.finally(() => {
      working = false
    })
    while (working) {
      await new Promise(setImmediate)
      turns++
    }
    await done
    return turns
  }
  const rows = hashes(30_000)
  t.ok((await turnsDuring(db.whitelist.save(rows))) >= 300)
  t.ok((await turnsDuring(all(db.whitelist))) >= 3)
  t.ok((await turnsDuring(db.whitelist.remove(rows.map(row => row.hash)))) >= 300)
})

t.test('changes fail while the open file is replaced', async t => {
  const database = await sqliteDatabase(t)
  const file = database.path.replace('sqlite://', '')
  const db = await openNew(t, database)
  await db.whitelist.save(hashes(2))
  renameSync(file, `${file}.moved`)
  await t.rejects(db.whitelist.save(hashes(3)), /removed or replaced/)
  writeFileSync(file, '')
  await t.rejects(db.whitelist.save(hashes(3)), /removed or replaced/)
  renameSync(`${file}.moved`, file)
  await db.whitelist.save(hashes(3))
  t.same(await all(db.whitelist), hashes(3))
})

t.test('a new file is readable only by its owner', async t => {
  const database = await sqliteDatabase(t)
  const config = databaseConfig(database)
  const before = process.umask()
  const db = await openDatabase(config.database, config.database_structure)
  t.teardown(() => db.close())
  await db.createTables()
  const file = database.path.replace('sqlite://', '')
  for (const name of [file, `${file}-wal`]) t.equal(statSync(name).mode & 0o777, 0o600, name)
  t.equal(process.umask(), before)
})

t.test('damaged pages are found at the start', async t => {
  const database = await sqliteDatabase(t)
  const file = database.path.replace('sqlite://', '')
  const config = databaseConfig(database)
  const first = await openDatabase(config.database, config.database_structure)
  await first.createTables()
  await first.whitelist.save(hashes(5000))
  await first.close()
  const bytes = readFileSync(file)
  for (let page = 4; page < 12; page++) bytes.fill(0xa5, page * 4096 + 100, page * 4096 + 3000)
  writeFileSync(file, bytes)
  await t.rejects(openDatabase(config.database, config.database_structure), {
    exitStatus: ExitStatus.dataError,
    message: /is damaged/,
  })
})
