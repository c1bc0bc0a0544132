import t, { type Test } from 'tap'
import type { AdminError } from '../../src/admin/admin.ts'
import { createList } from '../../src/admin/lists.ts'
import { sqliteDatabase } from '../database/fixtures/sqlite-database.ts'
import { all, openNew } from '../database/fixtures/test-database.ts'
import { hashOf, newEngine } from '../fixtures/tracker-client.ts'

const hex = (n: number) => hashOf(n).toString('hex')

/** The kind of the AdminError that a change is rejected with. */
function failureOf(change: Promise<unknown>): Promise<string> {
  return change.then(
    () => 'none',
    (error: AdminError) => error.kind,
  )
}

/** A whitelist on a new database, with the hashes whose peers it has dropped. */
async function whitelist(t: Test, isOn = true) {
  const database = await openNew(t, await sqliteDatabase(t), {})
  const dropped: string[] = []
  const dropPeers = (hash: string) => void dropped.push(hash)
  const create = () =>
    createList('whitelist', () => isOn, newEngine().access.whitelist, database.whitelist, {
      by: 'deleted',
      dropPeers,
    })
  return { list: create(), create, database, dropped }
}

t.test('entries are stored, and loaded into another table', async t => {
  const { create, database, list } = await whitelist(t)
  t.same(await list.add([hex(1), hex(2), hex(1)]), ['added', 'added', 'updated'])
  t.same(list.has([hex(1), hex(3)]), [true, false])
  t.same(await list.remove([hex(2), hex(3)]), ['deleted', 'unknown'])
  t.same(await all(database.whitelist), [{ hash: hex(1) }])
  const next = create()
  t.equal(await next.load(), 1)
  t.same(next.has([hex(1), hex(2)]), [true, false])
  await next.clear()
  t.equal(next.size, 0)
  t.same(await all(database.whitelist), [])
})

t.test('a removal drops the peers of the torrent, if the list is on', async t => {
  const on = await whitelist(t)
  await on.list.add([hex(1)])
  t.same(on.dropped, [])
  await on.list.remove([hex(1)])
  t.same(on.dropped, [hex(1)])

  const off = await whitelist(t, false)
  await off.list.add([hex(1)])
  await off.list.remove([hex(1)])
  t.same(off.dropped, [])
  await t.rejects(off.list.clear(), { message: /not enabled/ })
})

t.test('a change that the database rejects changes nothing', async t => {
  const { database, list } = await whitelist(t)
  await list.add([hex(1)])
  await database.close()
  t.equal(await failureOf(list.add([hex(2)])), 'database error')
  t.equal(await failureOf(list.remove([hex(1)])), 'database error')
  t.same(list.has([hex(1), hex(2)]), [true, false])
})
