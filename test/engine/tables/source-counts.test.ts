import t from 'tap'
import { openTables } from '../../../src/engine/engine.ts'
import { NO_LIMITS } from '../../../src/engine/policy.ts'
import { createSweepCursor, sweepSlice } from '../../../src/engine/sweep.ts'
import { Failure } from '../../../src/protocol/failures.ts'
import { Event } from '../../../src/protocol/records.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
} from '../../fixtures/tracker-client.ts'
import { announceRandomly, newTables } from '../../snapshot/fixtures/swarms.ts'

const MEMORY = 64 * 2 ** 20
/** One percent of the memory, at 160 bytes per peer. */
const SHARE = Math.ceil(MEMORY / 100 / 160)

const limited = (more = {}) =>
  newEngine(MEMORY, { ...SETTINGS, limits: { ...NO_LIMITS, memoryPerAddress: 1, ...more } })

const CLIENT = clientOf(1)

/** An address of 2001:db8::/32 by the numbers of its /48 and its /64, and of the host in it. */
function ipv6(wide: number, net: number, host: number) {
  const address = Buffer.alloc(16)
  address.writeUInt32BE(0x20010db8)
  address.writeUInt16BE(wide, 4)
  address.writeUInt16BE(net, 6)
  address.writeUInt32BE(host, 12)
  return { ...clientOf(host), address }
}

t.test('peers of one address fill their share of the memory and no more', async t => {
  const engine = limited()
  const announce = (torrent: number, more = {}) =>
    announceTo(engine, { infoHash: hashOf(torrent), ...CLIENT, left: 0, ...more })
  let accepted = 0
  for (let n = 0; n < SHARE + 500; n++) if (announce(n).failure === Failure.none) accepted++
  t.equal(accepted, SHARE)
  t.equal(announce(SHARE + 1).failure, Failure.addressShare, 'a new torrent')
  t.equal(announce(SHARE + 1, { left: 1 }).failure, Failure.addressShare, 'by a leecher, too')
  t.equal(announce(0).failure, Failure.none, 'a known peer announces as before')

  const other = clientOf(2)
  const elsewhere = { infoHash: hashOf(900_000), ...other, left: 0 }
  t.equal(announceTo(engine, elsewhere).failure, Failure.none, 'another address')
  t.equal(announce(900_000).failure, Failure.addressShare, 'a seeder of a torrent of others')
  const leecher = announce(900_000, { left: 1 })
  t.equal(leecher.failure, Failure.none)
  t.equal(leecher.ipv4.length, 1, 'a leecher of it gets peers')
  t.equal(announceTo(engine, elsewhere).leechers, 0, 'and is not added')

  announce(0, { event: Event.stopped })
  t.equal(announce(900_000).failure, Failure.none, 'a stopped peer makes space for another')
  t.equal(announce(900_001).failure, Failure.addressShare)
})

t.test('an IPv6 /64 has one share, and a /48 four', async t => {
  const engine = limited()
  let torrent = 0
  const fill = (wide: number, net: number) => {
    let accepted = 0
    for (let n = 0; n < SHARE + 10; n++) {
      const fields = { infoHash: hashOf(torrent++), ...ipv6(wide, net, n), left: 0 }
      if (announceTo(engine, fields).failure === Failure.none) accepted++
    }
    return accepted
  }
  t.equal(fill(1, 1), SHARE)
  t.same(
    [2, 3, 4, 5, 6].map(net => fill(1, net)),
    [SHARE, SHARE, SHARE, 0, 0],
  )
  t.equal(fill(2, 5), SHARE, 'another /48')
})

t.test('thousands of addresses beside a full one are not refused', async t => {
  const engine = limited()
  for (let n = 0; n < SHARE + 1; n++) {
    announceTo(engine, { infoHash: hashOf(n), ...CLIENT, left: 0 })
  }
  let refused = 0
  for (let n = 2; n < 20_000; n++) {
    const client = n % 3 === 0 ? ipv6(n, 0, n) : clientOf(n)
    if (announceTo(engine, { infoHash: hashOf(n % 50), ...client }).failure !== 0) refused++
  }
  // Both counters of an address that is refused would be those of the full one.
  t.equal(refused, 0)
})

t.test('without a limit nothing is refused, and the counts are those of the tables', async t => {
  const random = seededRandom(testSeed(t))
  const { engine, tables } = newTables()
  const { sources } = openTables(tables)
  announceRandomly(engine, random, { torrents: 60, clients: 3000, announces: 30_000 })
  t.ok(sources.some(count => count > 0))
  t.notOk(sources.some(count => count < 0))
  const cursor = createSweepCursor(0, 1)
  const later = NOW + SETTINGS.peersTimeout + 1
  for (let n = 0; n < engine.stripeCount; ) if (sweepSlice(engine, cursor, later)) n++
  t.notOk(
    sources.some(count => count !== 0),
    'no peer is left, and nothing is counted',
  )
})
