import { strict as assert } from 'node:assert'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { openEngine } from '../../src/engine/engine.ts'
import { createExportCursor, exportChunk } from '../../src/engine/export-stripe.ts'
import { type Imported, importRecord } from '../../src/engine/import-record.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { RECORD_BYTES_MAX, recordEnd } from '../../src/engine/torrent-record.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { rounds } from '../fixtures/rounds.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
} from '../fixtures/tracker-client.ts'
import { announceRandomly, fillTorrent, tablesOfFewStripes } from '../snapshot/fixtures/swarms.ts'

/**
 * Pieces of a large swarm that are exported before it changes; each of the few stripes is one, at
 * the least.
 */
const CHANGE_AT = 8
const RULES = { nowSeconds: NOW, settings: SETTINGS }

/** Exports all stripes into another engine, piece by piece, with `between` after each piece. */
function copyStripes(
  engine: ReturnType<typeof newEngine>,
  into: ReturnType<typeof newEngine>,
  outBytes: number,
  between: () => void = () => {},
): { pieces: number; imported: Imported } {
  const imported: Imported = { torrents: 0, peers: [0, 0], expired: 0, newer: 0, refused: 0 }
  const out = allocate(outBytes)
  let pieces = 0
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    const cursor = createExportCursor(stripe)
    for (; !cursor.done; pieces++) {
      const end = exportChunk(engine, cursor, out, 0)
      for (let at = 0; at < end; ) {
        const next = recordEnd(out.view, at, end)
        assert.equal(importRecord(into, out, at, RULES, imported), next, 'whole records')
        at = next
      }
      between()
    }
  }
  return { pieces, imported }
}

t.test('an exported and imported swarm is equal, with chunks of any size', async t => {
  const seed = testSeed(t)
  const engine = newEngine()
  const random = seededRandom(seed)
  announceRandomly(engine, random, {
    torrents: 400,
    clients: 3000,
    announces: rounds(8000, 30_000),
  })
  fillTorrent(engine, 1000, 5000)
  fillTorrent(engine, 1001, 1536)
  const before = checkTables(engine)
  for (const outBytes of [RECORD_BYTES_MAX, 2 ** 20]) {
    const into = newEngine()
    const { imported } = copyStripes(engine, into, outBytes)
    t.equal(imported.newer + imported.expired + imported.refused, 0, 'each once')
    t.ok(isDeepStrictEqual(checkTables(into), before), 'the same')
  }
  t.ok(isDeepStrictEqual(checkTables(engine), before), 'reading changes nothing')
})

t.test(
  'a torrent that stays is exported with its peers while others are added and removed',
  async t => {
    const seed = testSeed(t)
    const random = seededRandom(seed)
    const engine = openEngine(tablesOfFewStripes(64 * 2 ** 20), SETTINGS)
    const cursor = createSweepCursor(0, 1)
    const staying = rounds(1000, 4000)
    for (let torrent = 0; torrent < staying; torrent++) fillTorrent(engine, torrent, 3)
    let now = NOW
    // Thousands of torrents are added, so that the index grows, and removed, so that entries move.
    let newest = 10_000
    const change = () => {
      const coming = newest === 10_000 ? rounds(3000, 6000) : 200
      for (let n = 0; n < coming; n++) fillTorrent(engine, newest++, 1 + random(2), 500)
      for (let n = 0; n < 300; n++) {
        const number = 500 + random(2)
        announceTo(
          engine,
          {
            infoHash: hashOf(10_000 + random(newest - 10_000)),
            ...clientOf(number, number % 3 ? 4 : 6),
            event: Event.stopped,
          },
          now,
        )
      }
      for (let torrent = 0; torrent < staying; torrent++) fillTorrent(engine, torrent, 3, 0, now)
      now += 1500
      for (let n = 0; n < 20; n++) sweepSlice(engine, cursor, now)
    }
    const into = newEngine()
    const { pieces, imported } = copyStripes(engine, into, 2 ** 20, change)
    t.ok(pieces > 10, `${pieces} pieces`)
    t.ok(imported.newer > 0, 'the index grew and was walked again')
    checkTables(engine)
    const found = checkTables(into)
    const lost: number[] = []
    for (let torrent = 0; torrent < staying; torrent++) {
      if (found.get(hashOf(torrent).toString('hex'))?.peers.size !== 3) lost.push(torrent)
    }
    t.same(lost, [])
  },
)

t.test('a large swarm may change during its export', async t => {
  const engine = openEngine(tablesOfFewStripes(64 * 2 ** 20), SETTINGS)
  const stop = (from: number, to: number) => {
    for (let number = from; number < to; number++) {
      const client = clientOf(number, number % 3 ? 4 : 6)
      announceTo(engine, { infoHash: hashOf(1), ...client, event: Event.stopped })
    }
  }
  /** Peers that arrive of 9000 when `change` comes in the middle. */
  const arrive = (change: () => void): number => {
    fillTorrent(engine, 1, 9000)
    const into = newEngine()
    let pieces = 0
    copyStripes(engine, into, RECORD_BYTES_MAX, () => {
      if (++pieces === CHANGE_AT) change()
    })
    t.ok(pieces > CHANGE_AT)
    checkTables(engine)
    return checkTables(into).get(hashOf(1).toString('hex'))?.peers.size ?? 0
  }
  t.equal(
    arrive(() => {}),
    9000,
  )
  const shrunk = arrive(() => stop(0, 8900))
  t.ok(shrunk >= 100 && shrunk < 9000, `${shrunk}, of which 100 stayed`)
  const grown = arrive(() => fillTorrent(engine, 1, 9000, 9000))
  t.ok(grown >= 7000 && grown <= 18_000, `${grown}, and 9000 came meanwhile`)
  stop(9000, 18_000)
  const gone = arrive(() => stop(0, 9000))
  t.ok(gone > 0 && gone < 9000, `${gone}, and then all left`)
})
