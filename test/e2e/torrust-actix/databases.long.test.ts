import { spawnSync } from 'node:child_process'

import t, { type Test } from 'tap'
import { databasesOn } from '../../database/fixtures/server-database.ts'
import { startMariadb, startPostgres } from '../../fixtures/database-servers.ts'
import { query } from '../../fixtures/http-client.ts'
import { launch, temporaryFolder } from '../../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../../fixtures/tracker-client.ts'
import {
  type Compared,
  createOriginalConfig,
  launchOriginal,
  skipWithoutOriginal as skip,
  TOKEN,
} from '../fixtures/original.ts'
import { askRaw } from '../fixtures/raw-request.ts'

/** Migrations of one database from Torrust-Actix to muster and back, with one configuration. */

const hex = (n: number) => hashOf(n).toString('hex')
const KEY = hex(11)
const SHORT = hex(12)
const ZERO = hex(13)
const LATER = hex(14)
const USER_KEY = hex(15)
const OTHER_KEY = hex(16)
const USER = '550e8400-e29b-41d4-a716-446655440000'
const OTHER = '11111111-2222-3333-4444-555555555555'
/** The Unix time of muster for a permanent key. */
const NEVER = 2 ** 32 - 1

const FLAGS = {
  api_key: TOKEN,
  whitelist_enabled: true,
  blacklist_enabled: true,
  keys_enabled: true,
  users_enabled: true,
  persistent: true,
  persistent_interval: 1,
  insert_vacant: true,
  remove_action: true,
}

async function call({ api }: Compared, method: string, path: string, body?: unknown) {
  const { body: bytes, status } = await askRaw(api, {
    method,
    target: `/api/${path}`,
    headers: `authorization: Bearer ${TOKEN}\r\n`,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (status !== 200) throw new Error(`${method} ${path}: ${status} ${bytes}`)
  return JSON.parse(bytes.toString()) as Record<string, unknown>
}

type State = {
  readonly keys: Record<string, number>
  readonly users: Record<string, Record<string, unknown>>
  readonly torrents: Record<string, { completed: number }>
  readonly whitelists: Record<string, boolean>
  readonly blacklists: Record<string, boolean>
}

/** Reads all stored data through the API. */
async function stateOf(tracker: Compared): Promise<State> {
  const hashes = [1, 2, 3, 4, 5].map(hex)
  const get = async (name: keyof State, entries: string[]) =>
    (await call(tracker, 'GET', name, entries))[name] as never
  const torrents = (await get('torrents', hashes)) as State['torrents']
  const users = (await get('users', [USER, OTHER])) as State['users']
  // The swarms are not in the database of Torrust-Actix.
  for (const user of Object.values(users)) delete user['torrents_active']
  return {
    keys: await get('keys', [KEY, SHORT, LATER]),
    users,
    torrents: Object.fromEntries(
      Object.entries(torrents).map(([hash, { completed }]) => [hash, { completed }]),
    ),
    whitelists: await get('whitelists', hashes),
    blacklists: await get('blacklists', hashes),
  }
}

/** The same rows, and expiry times that differ by the seconds since `since` at most. */
function compare(t: Test, was: State, is: State, since: number): void {
  const passed = Math.ceil((Date.now() - since) / 1000) + 1
  t.same(
    { ...is, keys: Object.keys(is.keys).sort() },
    { ...was, keys: Object.keys(was.keys).sort() },
  )
  for (const [key, end] of Object.entries(was.keys)) {
    const difference = Math.abs((is.keys[key] ?? 0) - end)
    t.ok(difference <= passed, `key ${key.slice(-2)}: ${difference} s of ${passed} s`)
  }
}

/** An announce with the key and the user's key, in the form of Torrust-Actix. */
async function announce({ http }: Compared, torrent: number, client: number, more: object) {
  const { peerId, port } = clientOf(client)
  const fields = { info_hash: hashOf(torrent), peer_id: peerId, port, left: 0, compact: 1, ...more }
  const { body } = await askRaw(http, { target: `/${KEY}/${USER_KEY}announce${query(fields)}` })
  if (!body.toString('latin1').includes('8:interval')) throw new Error(body.toString('latin1'))
}

/** Torrust-Actix does not start on SQLite with counts of users of 2^32 or more. */
async function fill(tracker: Compared): Promise<void> {
  await call(tracker, 'POST', 'keys', { [KEY]: 2_592_000, [SHORT]: 3600, [ZERO]: 0 })
  await call(tracker, 'POST', 'users', [
    [USER, USER_KEY, 3_000_000_000, 2_000_000_000, 25, 1_706_976_000, 1],
    [OTHER, OTHER_KEY, 0, 0, 0, 0, 0],
  ])
  await call(tracker, 'POST', 'whitelists', [1, 2, 3].map(hex))
  await call(tracker, 'POST', 'blacklists', [hex(4)])
  await call(tracker, 'POST', 'torrents', { [hex(1)]: 77, [hex(2)]: 0, [hex(3)]: 4_294_967_295 })
  await announce(tracker, 2, 1, { uploaded: 0, downloaded: 0, event: 'started' })
  await announce(tracker, 2, 1, { uploaded: 0, downloaded: 500, event: 'completed' })
}

/** Changes of each kind, made by muster. */
async function change(tracker: Compared): Promise<void> {
  await call(tracker, 'POST', `key/${LATER}/86400`)
  await call(tracker, 'DELETE', `whitelist/${hex(3)}`)
  await call(tracker, 'POST', `blacklist/${hex(5)}`)
  await call(tracker, 'POST', `torrent/${hex(4)}/9`)
  await announce(tracker, 1, 7, { uploaded: 0, downloaded: 0, left: 9, event: 'started' })
  await announce(tracker, 1, 7, { uploaded: 300, downloaded: 9, event: 'completed' })
}

/**
 * `repair` changes types of columns. 4.2.15 does not start on the tables that it made in PostgreSQL
 * and MySQL, once they have rows.
 */
async function roundTrip(
  t: Test,
  engine: string,
  path: string,
  repair = async () => {},
): Promise<void> {
  const folder = temporaryFolder(t)
  const config = await createOriginalConfig(folder, { ...FLAGS, engine, path })
  const created = spawnSync('torrust-actix', ['--create-database'], { cwd: folder })
  t.equal(created.status, 0, '--create-database')

  const first = await launchOriginal(t, folder, config)
  await fill(first)
  const since = Date.now()
  const filled = await stateOf(first)
  await first.stop()

  const muster = launch(t, ['--config', 'config.toml'], folder, {
    environment: { API_0_COMPATIBILITY: 'torrust-actix' },
  })
  await Promise.race([muster.line(({ msg }) => msg === 'ready'), muster.ended])
  compare(t, filled, await stateOf(config), since)
  const zero = await call(config, 'GET', `key/${ZERO}`)
  t.equal(zero['timeout'], NEVER, 'a key of 0 seconds is permanent')
  await change(config)
  const changed = await stateOf(config)
  t.equal(changed.torrents[hex(1)]?.completed, 78)
  t.match(changed.users[USER], { uploaded: 3_000_000_300, completed: 26 })
  t.equal(await muster.stop(), 0, muster.stderr())
  await repair()

  const last = await launchOriginal(t, folder, config)
  compare(t, changed, await stateOf(last), since)
  await last.stop()
}

t.test('SQLite goes from Torrust-Actix to muster and back', { skip }, async t => {
  await roundTrip(t, 'sqlite3', 'sqlite://data.db')
})

t.test('PostgreSQL goes from Torrust-Actix to muster and back', { skip }, async t => {
  const server = await startPostgres(t)
  if (!server) return t.comment('PostgreSQL is not installed')
  const { path, run } = await databasesOn('pgsql', server)(t)
  await roundTrip(t, 'pgsql', path, async () => {
    await run('ALTER TABLE keys ALTER COLUMN timeout TYPE bigint')
  })
})

t.test('MariaDB goes from Torrust-Actix to muster and back', { skip }, async t => {
  const server = await startMariadb(t)
  if (!server) return t.comment('MariaDB is not installed')
  const { path, run } = await databasesOn('mysql', server)(t)
  const signed = (column: string) => `MODIFY ${column} BIGINT NOT NULL DEFAULT 0`
  await roundTrip(t, 'mysql', path, async () => {
    await run(`ALTER TABLE torrents ${signed('completed')}`)
    await run(`ALTER TABLE users ${['uploaded', 'downloaded', 'completed'].map(signed).join(', ')}`)
  })
})
