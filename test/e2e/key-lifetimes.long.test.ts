import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import { literal, torrustActixTables } from '../database/fixtures/torrust-actix-tables.ts'
import { announce, hex, KEY, startWithApi, USER } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { launch, temporaryFolder } from '../fixtures/start-tracker.ts'

const SHAPE = { binary: true, uuid: true }
const FILE = 'data.db'
const PATH = `sqlite://${FILE}`

function query(folder: string, statement: string): Record<string, unknown>[] {
  const database = new Database(join(folder, FILE))
  try {
    return database.prepare(statement).all() as Record<string, unknown>[]
  } finally {
    database.close()
  }
}

function tables(folder: string, ...statements: string[]): void {
  const database = new Database(join(folder, FILE))
  for (const statement of [...torrustActixTables('sqlite3', SHAPE), ...statements]) {
    database.exec(statement)
  }
  database.close()
}

const blob = (text: string) => literal('sqlite3', SHAPE, text)

t.test('keys of Torrust-Actix move to muster and back, and a crash renews none', async t => {
  const folder = temporaryFolder(t)
  tables(
    folder,
    `INSERT INTO keys VALUES (${blob(KEY)}, 3600)`,
    `INSERT INTO keys VALUES (${blob(USER)}, 0)`,
  )
  const config = {
    udp_server: [],
    tracker_config: { keys_enabled: true },
    database: { path: PATH },
  }
  const start = () => startWithApi(t, config, folder)
  const began = Date.now()
  const timeoutOf = async (admin: Awaited<ReturnType<typeof start>>['admin'], key: string) =>
    Number((await admin.call('GET', `/api/key/${key}`)).json['timeout'])
  const passed = () => Math.ceil((Date.now() - began) / 1000) + 1

  const first = await start()
  const answer = await getBencoded(first.tracker.url(), announce(`/${KEY}/announce`, 1))
  t.notOk('failure reason' in answer, 'a key with a lifetime of an hour is accepted')
  const left = await timeoutOf(first.admin, KEY)
  t.ok(left <= 3600 && left >= 3600 - passed())
  t.equal(await timeoutOf(first.admin, USER), 0)
  await first.admin.call('POST', `/api/key/${hex(3)}/1000`)
  await first.tracker.stop('SIGKILL')
  const rows = query(folder, 'select hex(hash) as hash, timeout from keys order by timeout')
  const lifetimes = rows.map(row => Number(row['timeout']))
  t.equal(lifetimes[0], 0, 'the table has lifetimes, as in Torrust-Actix')
  for (const [n, seconds] of [1000, 3600].entries()) {
    const stored = lifetimes[n + 1] ?? 0
    t.ok(stored <= seconds && stored >= seconds - passed(), `${stored} s of ${seconds}`)
  }

  const second = await start()
  const rest = await timeoutOf(second.admin, KEY)
  t.ok(rest <= left, 'a crash does not renew the key')
  t.equal(await second.tracker.stop(), 0)
  for (const { timeout } of query(folder, 'select timeout from keys where timeout > 1000')) {
    t.ok(Number(timeout) <= rest && Number(timeout) >= 3600 - passed(), 'the rest of the lifetime')
  }

  writeFileSync(join(folder, 'config.toml'), `[database]\npath = "${PATH}"\n`)
  const words = ['--export', '--config', 'config.toml']
  const exported = launch(t, words, folder)
  t.equal(await exported.ended, 0, exported.stderr())
  const keys = JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8')) as Record<string, number>
  t.equal(keys[USER], 0)
  const lifetime = keys[KEY] ?? 0
  t.ok(lifetime <= rest && lifetime >= 3600 - passed(), `${lifetime} s for its --import`)
})

t.test('remove_action decides whether a deletion through the API lasts', async t => {
  for (const removes of [true, false]) {
    const folder = temporaryFolder(t)
    tables(
      folder,
      `INSERT INTO torrents VALUES (${blob(hex(1))}, 0, 0, 5)`,
      `INSERT INTO torrents VALUES (${blob(hex(9))}, 0, 0, 7)`,
      `INSERT INTO whitelist VALUES (${blob(hex(2))})`,
      `INSERT INTO keys VALUES (${blob(KEY)}, 0)`,
    )
    const config = {
      udp_server: [],
      tracker_config: { peers_timeout: 2, request_interval: 1, request_interval_minimum: 1 },
      database: { path: PATH, remove_action: removes, persistent_interval: 1 },
    }
    const { tracker, admin } = await startWithApi(t, config, folder)
    const paths = [`torrent/${hex(1)}`, `whitelist/${hex(2)}`, `key/${KEY}`]
    for (const path of paths) {
      t.match(await admin.call('DELETE', `/api/${path}`), { status: 200 }, path)
      // A torrent whose row stays is read from the database again.
      const expected = !removes && path.startsWith('torrent') ? 200 : 404
      t.equal((await admin.call('GET', `/api/${path}`)).status, expected, path)
    }
    // Long enough for torrents to be silent, and for several writes.
    await new Promise(resolve => setTimeout(resolve, 4000))
    t.equal(await tracker.stop(), 0)
    const count = (table: string) =>
      Number(query(folder, `select count(*) as n from ${table}`)[0]?.['n'])
    t.equal(count('torrents'), removes ? 1 : 2, 'a torrent without announces stays')
    t.equal(count('whitelist'), removes ? 0 : 1)
    t.equal(count('keys'), removes ? 0 : 1)
  }
})
