import t from 'tap'
import { reserveTables, stripeHead, viewArena } from '../../../src/engine/tables/arena.ts'
import { hashInfoHash } from '../../../src/engine/tables/keyed-hash.ts'
import { NO_TORRENT } from '../../../src/engine/tables/references.ts'
import { createHeldStripe } from '../../../src/engine/tables/stripe.ts'
import {
  addTorrent,
  findTorrent,
  indexSize,
  removeTorrent,
  torrentAt,
} from '../../../src/engine/tables/torrents.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

t.test('the index of one stripe grows past 2^16 entries, and loses no torrent', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const torrents = 120_000
  const key = [random(2 ** 32), random(2 ** 32)] as const
  const tables = { ...reserveTables(64 * 2 ** 20, key), stripeCount: 1 }
  const arenas = tables.arenas.map(viewArena)
  const sources = new Int32Array(tables.sources)
  const held = createHeldStripe({ arenas, stripeCount: 1, hashKey: key, sources })
  t.equal(held.head, stripeHead(0, 1))
  const { view } = bytesOf(new Uint8Array(20))
  const isThere = new Uint8Array(torrents)
  const hashOf = (n: number) => {
    view.setUint32(0, n)
    return hashInfoHash(key, view, 0)
  }
  const check = (count: number) => {
    for (let n = 0; n < count; n++) {
      const found = findTorrent(held, hashOf(n), view, 0) !== NO_TORRENT
      if (found !== (isThere[n] === 1))
        throw new Error(`torrent ${n} is ${found ? '' : 'not '}there`)
    }
    let entries = 0
    for (let place = 0; place < indexSize(held); place++) {
      if (torrentAt(held, place) !== NO_TORRENT) entries++
    }
    t.equal(
      entries,
      isThere.reduce((sum, there) => sum + there, 0),
      `${count} torrents`,
    )
  }
  for (let n = 0; n < torrents; n++) {
    if (addTorrent(held, hashOf(n), view, 0) === NO_TORRENT) throw new Error('memory is full')
    isThere[n] = 1
    if (random(3) === 0) {
      const other = random(n + 1)
      const torrent = findTorrent(held, hashOf(other), view, 0)
      if (torrent !== NO_TORRENT) removeTorrent(held, torrent, hashOf(other))
      isThere[other] = 0
    }
    if (n === 1000 || n === 40_000) check(n + 1)
  }
  check(torrents)
  t.ok(indexSize(held) > 2 ** 16, `${indexSize(held)} entries`)
})
