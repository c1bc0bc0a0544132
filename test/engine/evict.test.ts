import t from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { totals } from '../../src/engine/totals.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  scrapeFrom,
} from '../fixtures/tracker-client.ts'

const HONEST = 200
const FLOOD = 20_000
const ATTACKER = clientOf(1_000_000).address

function smallEngine(): Engine {
  return newEngine(2 ** 20, { ...SETTINGS, peersTimeout: 86_400 })
}

/** How many of the honest torrents still have all their `peers`. */
function intact(engine: Engine, peers: number): number {
  const hashes = Array.from({ length: HONEST }, (_, n) => hashOf(n))
  return hashes.filter(hash => scrapeFrom(engine, [hash])[0]?.leechers === peers).length
}

t.test('torrents of peers that announced once make space for others first', async t => {
  const engine = smallEngine()
  for (const again of [0, 60]) {
    for (let n = 0; n < HONEST; n++) {
      announceTo(engine, { infoHash: hashOf(n), ...clientOf(n), left: 1 }, NOW + again)
    }
  }
  for (let n = 0; n < FLOOD; n++) {
    const client = { ...clientOf(n), address: ATTACKER }
    announceTo(engine, { infoHash: hashOf(HONEST + n), ...client, left: 1 }, NOW + 61 + n / 100)
  }
  t.ok(totals(engine).evicted > 0, 'the memory is full')
  t.equal(totals(engine).refused, 0)
  t.equal(intact(engine, 1), HONEST)
  checkTables(engine)
})

t.test('peers of the address that holds most are evicted before those of others', async t => {
  const engine = smallEngine()
  for (let n = 0; n < HONEST * 2; n++) {
    announceTo(engine, { infoHash: hashOf(n >> 1), ...clientOf(n), left: 1 })
  }
  // Two peers of one address in each torrent, which announce again and again.
  for (let n = 0; n < FLOOD; n++) {
    const client = { ...clientOf(n), address: ATTACKER }
    const infoHash = hashOf(HONEST + (n >> 1))
    announceTo(engine, { infoHash, ...client, left: 1 }, NOW + 1 + n / 100)
    announceTo(engine, { infoHash, ...client, left: 1 }, NOW + 1 + n / 100)
  }
  t.ok(totals(engine).evicted > 0, 'the memory is full')
  t.equal(totals(engine).refused, 0)
  t.ok(intact(engine, 2) > HONEST * 0.98, `${intact(engine, 2)} of ${HONEST} torrents`)
  checkTables(engine)
})

t.test('peers of one IPv6 /48 are evicted together, whatever their addresses', async t => {
  const engine = smallEngine()
  for (let n = 0; n < HONEST * 2; n++) {
    announceTo(engine, { infoHash: hashOf(n >> 1), ...clientOf(n), left: 1 })
  }
  for (let n = 0; n < FLOOD; n++) {
    const address = Buffer.alloc(16)
    address.set([0x20, 0x01, 0x0d, 0xb9, 0, 1])
    address.writeUInt32BE(n, 6)
    const client = { ...clientOf(n, 6), address }
    announceTo(engine, { infoHash: hashOf(HONEST + (n >> 1)), ...client, left: 1 }, NOW + 1)
  }
  t.ok(totals(engine).evicted > 0, 'the memory is full')
  t.ok(intact(engine, 2) > HONEST * 0.98, `${intact(engine, 2)} of ${HONEST} torrents`)
  checkTables(engine)
})
