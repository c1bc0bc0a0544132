import t, { type Test } from 'tap'
import type { AdminError } from '../../src/admin/admin.ts'
import { Keys } from '../../src/admin/keys.ts'
import { sqliteDatabase } from '../database/fixtures/sqlite-database.ts'
import { all, openNew } from '../database/fixtures/test-database.ts'
import { hashOf, NOW, newEngine } from '../fixtures/tracker-client.ts'

const hex = (n: number) => hashOf(n).toString('hex')

/** The kind of the AdminError that a change is rejected with. */
function failureOf(change: Promise<unknown>): Promise<string> {
  return change.then(
    () => 'none',
    (error: AdminError) => error.kind,
  )
}

/** Keys on a new database, with both clocks. */
async function keysOf(t: Test, isOn = true) {
  const database = await openNew(t, await sqliteDatabase(t), {})
  const clock = { real: NOW, even: NOW }
  const create = () =>
    new Keys({
      isEnabled: () => isOn,
      table: newEngine().access.keys,
      rows: database.keys,
      deletesRows: true,
      realSeconds: () => clock.real,
      nowSeconds: () => clock.even,
    })
  return { keys: create(), create, clock, database }
}

t.test('a key is valid for its lifetime', async t => {
  const { clock, database, keys } = await keysOf(t)
  t.same(
    await keys.set([
      [hex(1), 60],
      [hex(2), 0],
    ]),
    ['added', 'added'],
  )
  clock.real = clock.even = NOW + 20
  t.same(keys.of([hex(1), hex(2), hex(3)]), [
    { end: NOW + 60, left: 40 },
    { end: 0, left: 0 },
    undefined,
  ])
  clock.real = clock.even = NOW + 60
  t.same(keys.of([hex(1), hex(2)]), [undefined, { end: 0, left: 0 }], 'expired at once')
  t.same(await keys.remove([hex(1), hex(2)]), ['unknown', 'deleted'])
  t.same(await all(database.keys), [])
})

t.test('only keys that have expired by both clocks are deleted', async t => {
  const { clock, database, keys } = await keysOf(t)
  await keys.set([
    [hex(1), 60],
    [hex(2), 600],
  ])
  clock.real = NOW + 3600
  t.same(keys.of([hex(1), hex(2)]), [undefined, undefined])
  t.equal(await keys.removeExpired(), 0, 'the system clock jumped')
  clock.real = clock.even = NOW + 120
  t.equal(await keys.removeExpired(), 1)
  t.same(await all(database.keys), [{ hash: hex(2), timeout: NOW + 600 }])
})

t.test('a key that another node has extended is neither deleted nor shortened', async t => {
  const { clock, create, database, keys } = await keysOf(t)
  await keys.set([
    [hex(1), 60],
    [hex(2), 60],
    [hex(3), 600],
  ])
  const other = create()
  await other.load()
  await other.set([
    [hex(1), 3600],
    [hex(3), 3600],
  ])
  clock.real = clock.even = NOW + 120
  t.equal(await keys.removeExpired(), 2)
  await keys.storeLifetimes()
  t.same(await all(database.keys), [
    { hash: hex(1), timeout: NOW + 3600 },
    { hash: hex(3), timeout: NOW + 3600 },
  ])
})

t.test('keys are loaded with their ends, and cleared only while keys are on', async t => {
  const { create, keys } = await keysOf(t)
  await keys.set([[hex(1), 60]])
  const next = create()
  t.equal(await next.load(), 1)
  t.match(next.of([hex(1)]), [{ left: 60 }])
  await next.clear()
  t.equal(next.size, 0)
  const off = await keysOf(t, false)
  await t.rejects(off.keys.clear(), { message: /not enabled/ })
})

t.test('a change that the database rejects changes nothing', async t => {
  const { database, keys } = await keysOf(t)
  await keys.set([[hex(1), 60]])
  await database.close()
  t.equal(await failureOf(keys.set([[hex(1), 0]])), 'database error')
  t.equal(await failureOf(keys.remove([hex(1)])), 'database error')
  t.match(keys.of([hex(1)]), [{ left: 60 }])
})
