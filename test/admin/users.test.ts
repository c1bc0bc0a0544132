import t, { type Test } from 'tap'
import type { AdminError, UserEntry } from '../../src/admin/admin.ts'
import { Users } from '../../src/admin/users.ts'
import { totals } from '../../src/engine/totals.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
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

const SESSION_TTL = 3600
/** Seconds after its removal at which the number of a user is reused. */
const REUSE_SECONDS = 90_000 + SESSION_TTL
const TOTAL_MAX = 2n ** 63n - 1n

const keyOf = (n: number) => String(n).repeat(40)
const idOf = (n: number) => `${n}50e8400-e29b-41d4-a716-446655440000`

function entry(n: number, more: Partial<UserEntry> = {}): UserEntry {
  const totals = { uploaded: 0n, downloaded: 0n, completed: 0, updated: NOW, active: true }
  return { id: idOf(n), key: keyOf(n), ...totals, ...more }
}

/** Users of a new tracker on a new database. */
async function newUsers(t: Test, isOn = true) {
  const database = await openNew(t, await sqliteDatabase(t))
  const clock = { now: NOW }
  const create = () => {
    const engine = newEngine(64 * 2 ** 20, SETTINGS, { users: isOn })
    const users = new Users({
      engine,
      database,
      chunkSize: 1000,
      sessionTtl: SESSION_TTL,
      nowSeconds: () => clock.now,
      log: createTestLog().log,
    })
    const announce = (n: number, fields: { uploaded?: number; downloaded?: number } = {}) =>
      announceTo(engine, {
        infoHash: hashOf(n),
        ...clientOf(n),
        userKey: Buffer.from(keyOf(n), 'hex'),
        left: 1,
        ...fields,
      })
    return { engine, users, announce }
  }
  const first = create()
  await first.users.load()
  return { ...first, create, clock, database }
}

/** The kind of the AdminError that a change is rejected with. */
function failureOf(change: Promise<unknown>): Promise<string> {
  return change.then(
    () => 'none',
    (error: AdminError) => error.kind,
  )
}

t.test('users are added, changed, given another key and removed', async t => {
  const { database, users } = await newUsers(t)
  t.same(await users.set([entry(1, { uploaded: 5n }), entry(2)]), ['added', 'added'])
  t.same(await users.set([entry(1, { uploaded: 7n, active: false })]), ['updated'])
  t.match(await users.of([keyOf(1), keyOf(3)]), [
    { id: idOf(1), key: keyOf(1), uploaded: 7n, active: false, torrentsActive: [] },
    undefined,
  ])
  t.same(await users.set([entry(1, { key: keyOf(9) })]), ['updated'])
  t.same(users.keysOf([idOf(1), idOf(2), idOf(3)]), [keyOf(9), keyOf(2), undefined])
  t.same(await users.of([keyOf(1)]), [undefined], 'the former key is unknown')
  t.same(await users.remove([keyOf(1), keyOf(9)]), ['unknown', 'deleted'])
  t.equal(users.size, 1)
  t.match(await all(database.users), [{ id: idOf(2), key: keyOf(2) }])
})

t.test('a user with the key of another user replaces it', async t => {
  const { database, users } = await newUsers(t)
  await users.set([entry(1, { uploaded: 5n })])
  t.same(await users.set([entry(2, { key: keyOf(1) })]), ['updated'])
  t.same(users.keysOf([idOf(1), idOf(2)]), [undefined, keyOf(1)])
  t.match(await users.of([keyOf(1)]), [{ id: idOf(2), uploaded: 0n }])
  t.match(await all(database.users), [{ id: idOf(2), key: keyOf(1) }])
})

t.test('announces add to the totals of a user until they are set again', async t => {
  const { announce, create, users } = await newUsers(t)
  await users.set([entry(1, { uploaded: 1000n, downloaded: 10n, completed: 3 })])
  announce(1)
  announce(1, { uploaded: 50, downloaded: 20 })
  t.match(await users.of([keyOf(1)]), [
    {
      uploaded: 1050n,
      downloaded: 30n,
      completed: 3,
      torrentsActive: [[hashOf(1).toString('hex'), NOW]],
    },
  ])
  await users.accounts.flushAll()
  const restarted = create().users
  t.equal(await restarted.load(), 1)
  t.match(await restarted.of([keyOf(1)]), [{ id: idOf(1), uploaded: 1050n, downloaded: 30n }])

  announce(1, { uploaded: 60, downloaded: 20 })
  t.same(await users.set([entry(1, { uploaded: 1n, downloaded: 2n })]), ['updated'])
  t.match(await users.of([keyOf(1)]), [{ uploaded: 1n, downloaded: 2n, completed: 0 }])
  announce(1, { uploaded: 61, downloaded: 20 })
  t.match(await users.of([keyOf(1)]), [{ uploaded: 2n, downloaded: 2n }])
})

t.test('a total has at most 63 bits', async t => {
  const { announce, users } = await newUsers(t)
  await users.set([entry(1, { uploaded: 2n ** 70n, downloaded: TOTAL_MAX - 1n })])
  announce(1)
  announce(1, { uploaded: 1, downloaded: 5 })
  t.match(await users.of([keyOf(1)]), [{ uploaded: TOTAL_MAX, downloaded: TOTAL_MAX }])
})

t.test('the peers of a removed user are removed, and its number is reused much later', async t => {
  const { announce, clock, engine, users } = await newUsers(t)
  await users.set([entry(1), entry(2)])
  announce(1)
  announce(2)
  t.same(totals(engine).peers, [2, 0, 0])
  t.same([users.idOf(1), users.idOf(2)], [idOf(1), idOf(2)])
  await users.remove([keyOf(1)])
  t.same(totals(engine).peers, [1, 0, 0])
  t.equal(users.idOf(1), undefined)
  clock.now += REUSE_SECONDS - 1
  await users.set([entry(3)])
  t.equal(users.idOf(3), idOf(3), 'sessions of the removed user may still exist')
  clock.now += 1
  await users.set([entry(4)])
  t.equal(users.idOf(1), idOf(4))
})

t.test('all users are removed only while users are enabled', async t => {
  const { announce, database, engine, users } = await newUsers(t)
  await users.set([entry(1), entry(2)])
  announce(1)
  await users.clear()
  t.equal(users.size, 0)
  t.same(totals(engine).peers, [0, 0, 0])
  t.same(await all(database.users), [])
  t.match(announce(1), { failure: Number }, 'the key is no longer valid')

  const off = await newUsers(t, false)
  await off.users.set([entry(1)])
  t.equal(await failureOf(off.users.clear()), 'not enabled')
  t.equal(off.users.size, 1)
})

t.test('a change that the database rejects changes nothing', async t => {
  const { database, users } = await newUsers(t)
  await users.set([entry(1, { uploaded: 5n })])
  await database.close()
  t.equal(await failureOf(users.set([entry(1), entry(2)])), 'database error')
  t.equal(await failureOf(users.remove([keyOf(1)])), 'database error')
  t.match(await users.of([keyOf(1), keyOf(2)]), [{ id: idOf(1), uploaded: 5n }, undefined])
})
