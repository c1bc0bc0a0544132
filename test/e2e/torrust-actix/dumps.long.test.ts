import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { DatabaseConfig } from '../../../src/config/config.ts'
import { databasesOn } from '../../database/fixtures/server-database.ts'
import { startMariadb, startPostgres } from '../../fixtures/database-servers.ts'
import { query } from '../../fixtures/http-client.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'
import { DUMPED, dumpOf, statementsOf } from '../../fixtures/torrust-actix-dumps.ts'
import { clientOf } from '../../fixtures/tracker-client.ts'
import {
  type Compared,
  createOriginalConfig,
  launchOriginal,
  skipWithoutOriginal as skip,
  TOKEN,
} from '../fixtures/original.ts'
import { askRaw } from '../fixtures/raw-request.ts'

/**
 * The committed dumps are what Torrust-Actix leaves in its databases after these requests. With
 * WRITE_DUMPS=1 in the environment this test writes them.
 */

async function call({ api }: Compared, path: string, body: unknown): Promise<void> {
  const answer = await askRaw(api, {
    method: 'POST',
    target: `/api/${path}`,
    headers: `authorization: Bearer ${TOKEN}\r\n`,
    body: JSON.stringify(body),
  })
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body}`)
}

async function announce(
  { http }: Compared,
  torrent: string,
  client: number,
  left: number,
  event = '',
) {
  const { peerId, port } = clientOf(client)
  const fields = { info_hash: Buffer.from(torrent, 'hex'), peer_id: peerId, port, left, event }
  const target = `/${DUMPED.key}/${DUMPED.user.key}announce${query({ ...fields, compact: 1 })}`
  const { body } = await askRaw(http, { target })
  if (!body.includes('8:interval')) throw new Error(body.toString('latin1'))
}

async function use(original: Compared): Promise<void> {
  const { torrent, announced, largest, blocked, user, inactive, counts, updated } = DUMPED
  await call(original, 'keys', DUMPED.keys)
  const { uploaded, downloaded, completed } = counts
  await call(original, 'users', [
    [user.id, user.key, uploaded, downloaded, completed, updated, 1],
    [inactive.id, inactive.key, 0, 0, 0, updated, 0],
  ])
  await call(original, 'whitelists', [torrent, announced, largest])
  await call(original, 'blacklists', [blocked])
  await call(original, 'torrents', { [torrent]: 77, [largest]: 4_294_967_295 })
  await announce(original, torrent, 1, 9, 'started')
  await announce(original, torrent, 1, 0, 'completed')
  await announce(original, torrent, 2, 9, 'started')
  await announce(original, announced, 3, 9, 'started')
}

/** Starts Torrust-Actix on an empty database, uses it and stops it. */
async function useDatabase(t: Test, engine: DatabaseConfig['engine'], path: string) {
  const folder = temporaryFolder(t)
  const config = await createOriginalConfig(folder, {
    api_key: TOKEN,
    whitelist_enabled: true,
    blacklist_enabled: true,
    keys_enabled: true,
    users_enabled: true,
    engine,
    path,
    persistent: true,
    persistent_interval: 1,
    insert_vacant: true,
    update_peers: true,
  })
  const created = spawnSync('torrust-actix', ['--create-database'], { cwd: folder })
  t.equal(created.status, 0, '--create-database')
  const original = await launchOriginal(t, folder, config)
  await use(original)
  await original.stop()
  return folder
}

/** Both dumps have the same statements, in any order: that of rows is random. */
function compare(t: Test, engine: DatabaseConfig['engine'], dump: string): void {
  if (process.env['WRITE_DUMPS'] === '1') writeFileSync(dumpOf(engine), dump)
  const committed = readFileSync(dumpOf(engine), 'utf8')
  t.same(statementsOf(dump).sort(), statementsOf(committed).sort())
}

const dumpWith = (program: string, words: readonly string[], environment = {}) =>
  execFileSync(program, words, { encoding: 'utf8', env: { ...process.env, ...environment } })

t.test('the dump of SQLite', { skip }, async t => {
  const folder = await useDatabase(t, 'sqlite3', 'sqlite://data.db')
  compare(t, 'sqlite3', dumpWith('sqlite3', [join(folder, 'data.db'), '.dump']))
})

t.test('the dump of PostgreSQL', { skip }, async t => {
  const server = await startPostgres(t)
  if (!server) return t.comment('PostgreSQL is not installed')
  const { path } = await databasesOn('pgsql', server)(t)
  await useDatabase(t, 'pgsql', path)
  const options = ['--inserts', '--column-inserts', '--no-owner', '--no-privileges', path]
  // Lines for psql alone, with a random token.
  const dump = dumpWith('pg_dump', options).replaceAll(/^\\(?:un)?restrict .*\n/gm, '')
  compare(t, 'pgsql', dump)
})

t.test('the dump of MariaDB', { skip }, async t => {
  const server = await startMariadb(t)
  if (!server) return t.comment('MariaDB is not installed')
  const { path } = await databasesOn('mysql', server)(t)
  await useDatabase(t, 'mysql', path)
  const database = new URL(path).pathname.slice(1)
  const options = ['--no-defaults', '-h', '127.0.0.1', '-P', String(server.port), '-u', server.user]
  const form = ['--skip-extended-insert', '--hex-blob', '--skip-comments', '--complete-insert']
  const password = { MYSQL_PWD: server.password }
  compare(t, 'mysql', dumpWith('mariadb-dump', [...options, ...form, database], password))
})
