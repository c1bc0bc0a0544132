import t from 'tap'
import { setEntry } from '../../src/engine/access-tables.ts'
import {
  FACTOR_MAX,
  packFactors,
  product,
  setEverybody,
  timesFactor,
} from '../../src/engine/factors.ts'
import { SESSION_PARTITIONS, takeSessions } from '../../src/engine/session-batch.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { readUser, writeFactors, writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { announceTo, clientOf, hashOf, NOW, newEngine } from '../fixtures/tracker-client.ts'

const userKey = Buffer.alloc(20, 1)

/** A client of user 1, which reports counts that grow. */
function client() {
  const engine = newEngine(64 * 2 ** 20, undefined, { users: true })
  const { users, factors } = engine.access
  const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
  writeUser(users, 1, totals)
  setValue(engine.access.userKeys, bytesOf(userKey).view, 0, 1)
  let up = 0
  let down = 0
  /** Reports so much more, and returns what the user is credited with. */
  const grow = (uploaded: number, downloaded: number, now = NOW) => {
    up += uploaded
    down += downloaded
    const before = readUser(users, 1)
    const counts = { uploaded: up, downloaded: down, left: 9 }
    announceTo(engine, { infoHash: hashOf(1), ...clientOf(1), userKey, ...counts }, now)
    const after = readUser(users, 1)
    return [after.uploaded - before.uploaded, after.downloaded - before.downloaded].map(Number)
  }
  grow(0, 0)
  const setTorrent = (upload: number, download: number, until = 0) => {
    const hash = hashOf(1).toString('hex')
    setEntry(factors.ends, hash, until)
    setEntry(factors.torrents, hash, packFactors({ upload, download, until }))
  }
  return { engine, users, factors, grow, setTorrent }
}

t.test('without factors, bytes are credited as they are', async t => {
  t.same(client().grow(1001, 77), [1001, 77])
})

t.test('factors of everybody, of a torrent and of a user are multiplied', async t => {
  const { factors, grow, setTorrent, users } = client()
  setEverybody(factors, { upload: 2000, download: 500, until: 0 })
  t.same(grow(100, 100), [200, 50])
  setTorrent(1500, 0)
  t.same(grow(100, 100), [300, 0])
  writeFactors(users, 1, { upload: 500, download: 3000, until: 0 })
  t.same(grow(100, 100), [150, 0])
  setEverybody(factors, { upload: 1000, download: 1000, until: 0 })
  t.same(grow(100, 100), [75, 0])
})

t.test('a factor ends at its second, and the one in force at the announce counts', async t => {
  const { factors, grow, setTorrent, users } = client()
  setEverybody(factors, { upload: 2000, download: 1000, until: NOW + 10 })
  setTorrent(1000, 0, NOW + 20)
  writeFactors(users, 1, { upload: 3000, download: 1000, until: NOW + 30 })
  t.same(grow(10, 10, NOW + 9), [60, 0])
  t.same(grow(10, 10, NOW + 10), [30, 0])
  t.same(grow(10, 10, NOW + 20), [30, 10])
  t.same(grow(10, 10, NOW + 30), [10, 10])
})

t.test('products stop at the largest factor, and bytes stay whole', async t => {
  t.equal(product(FACTOR_MAX, FACTOR_MAX), FACTOR_MAX)
  t.equal(product(1000, 333), 333)
  t.equal(product(500, 1), 0)
  t.equal(timesFactor(3, 500), 1)
  t.equal(timesFactor(1999, 1500), 2998)
  t.equal(BigInt(timesFactor(2 ** 48 - 1, 1001)), ((2n ** 48n - 1n) * 1001n) / 1000n)
  for (const bytes of [0, 1, 999, 1000, 1001, 123_456_789, 2 ** 48 - 1]) {
    for (const factor of [0, 1, 250, 999, 1000, 1001, 2000, 9999]) {
      t.equal(BigInt(timesFactor(bytes, factor)), (BigInt(bytes) * BigInt(factor)) / 1000n)
    }
  }
})

t.test('a session keeps raw and credited bytes', async t => {
  const { engine, factors, grow } = client()
  setEverybody(factors, { upload: 2500, download: 0, until: 0 })
  grow(1000, 400)
  const changed = Array.from({ length: SESSION_PARTITIONS }, (_, n) => takeSessions(engine, n))
  t.match(changed.flat(), [{ newUp: 1000, newDown: 400, creditUp: 2500, creditDown: 0 }])
})
