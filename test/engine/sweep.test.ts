import t from 'tap'
import { createSweepCursor, sweepSlice, sweepSlicesPerPass } from '../../src/engine/sweep.ts'
import { totals } from '../../src/engine/totals.ts'
import { Event, Family } from '../../src/protocol/records.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  scrapeFrom,
} from '../fixtures/tracker-client.ts'

function sweepAll(
  engine: ReturnType<typeof newEngine>,
  now: number,
  cursor = createSweepCursor(0, 1),
): number {
  let slices = 0
  for (let stripes = 0; stripes < sweepSlicesPerPass(engine, cursor); slices++) {
    if (sweepSlice(engine, cursor, now)) stripes++
  }
  return slices
}

t.test(
  'the sweep removes a peer that is silent for longer than the timeout, and no other',
  async t => {
    const engine = newEngine()
    announceTo(engine, { infoHash: hashOf(1), ...clientOf(1), left: 1 }, NOW)
    announceTo(engine, { infoHash: hashOf(1), ...clientOf(2), left: 0 }, NOW)
    announceTo(engine, { infoHash: hashOf(1), ...clientOf(2), left: 0 }, NOW + 2000)
    sweepAll(engine, NOW + 2700)
    t.match(scrapeFrom(engine, [hashOf(1)]), [{ seeders: 1, leechers: 1 }])
    sweepAll(engine, NOW + 2701)
    t.match(scrapeFrom(engine, [hashOf(1)]), [{ seeders: 1, leechers: 0 }])
    t.equal(totals(engine).expired, 1)
  },
)

t.test(
  'an empty torrent keeps its downloads until it is not announced for the timeout',
  async t => {
    const engine = newEngine()
    announceTo(
      engine,
      { infoHash: hashOf(1), ...clientOf(1), left: 0, event: Event.completed },
      NOW,
    )
    announceTo(engine, { infoHash: hashOf(1), ...clientOf(1), event: Event.stopped }, NOW + 10)
    sweepAll(engine, NOW + 2000)
    t.match(scrapeFrom(engine, [hashOf(1)]), [{ seeders: 0, completed: 1 }])
    sweepAll(engine, NOW + 2701)
    t.equal(totals(engine).torrents, 0)
  },
)

t.test('threads divide the stripes between them', async t => {
  const engine = newEngine()
  for (let n = 0; n < 3000; n++)
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(n, n % 2 ? 4 : 6), left: 1 })
  for (let thread = 0; thread < 3; thread++)
    sweepAll(engine, NOW + 5000, createSweepCursor(thread, 3))
  t.match(totals(engine), { torrents: 0, peers: [0, 0, 0], expired: 3000 })
  checkTables(engine)
})

t.test('a large swarm is swept in many slices, with announces in between', async t => {
  const engine = newEngine()
  const peers = 20_000
  for (let n = 0; n < peers; n++) {
    announceTo(
      engine,
      { infoHash: hashOf(7), ...clientOf(n), left: n % 3 },
      n % 4 === 0 ? NOW + 3000 : NOW,
    )
  }
  const cursor = createSweepCursor(0, 1)
  let slices = 0
  for (let passes = 0; passes < 2; passes++) {
    for (let stripes = 0; stripes < sweepSlicesPerPass(engine, cursor); slices++) {
      if (sweepSlice(engine, cursor, NOW + 3000)) stripes++
      const client = clientOf(peers + (slices % 1000))
      announceTo(
        engine,
        { infoHash: hashOf(7), ...client, left: slices % 2, event: slices % 3 },
        NOW + 3000,
      )
    }
  }
  t.ok(slices > 2 * 2 * (peers / 1024) * 0.5, `${slices} slices`)
  const live = peers / 4 + Math.min(1000, slices)
  const silent = totals(engine).peers[Family.ipv4] - live
  t.ok(silent >= 0 && silent < 100, `announces moved ${silent} silent peers past the sweep`)
  sweepAll(engine, NOW + 3000)
  const [torrent] = checkTables(engine).values()
  t.ok(
    [...(torrent?.peers.values() ?? [])].every(({ seen }) => seen === NOW + 3000),
    'the silent are gone',
  )
  t.equal(torrent?.peers.size, live)
})
