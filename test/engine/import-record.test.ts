import { strict as assert } from 'node:assert'
import t from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { createExportCursor, exportChunk } from '../../src/engine/export-stripe.ts'
import { type Imported, importRecord } from '../../src/engine/import-record.ts'
import { createSweepCursor, sweepSlice, sweepSlicesPerPass } from '../../src/engine/sweep.ts'
import { NO_TORRENT } from '../../src/engine/tables/references.ts'
import { holdStripe, releaseStripe } from '../../src/engine/tables/stripe.ts'
import { indexSize, torrentAt, torrentFlags } from '../../src/engine/tables/torrents.ts'
import {
  RECORD_HEAD_BYTES,
  RECORD_PEERS,
  RECORD_PEERS_MAX,
  recordBytes,
  recordEnd,
} from '../../src/engine/torrent-record.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { checkTables, type FoundPeer } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  scrapeFrom,
} from '../fixtures/tracker-client.ts'
import { fillTorrent } from '../snapshot/fixtures/swarms.ts'

function copyAll(from: Engine, to: Engine, nowSeconds = NOW, settings = SETTINGS): Imported {
  const imported: Imported = { torrents: 0, peers: [0, 0], expired: 0, newer: 0, refused: 0 }
  const out = allocate(2 ** 20)
  for (let stripe = 0; stripe < from.stripeCount; stripe++) {
    const cursor = createExportCursor(stripe)
    while (!cursor.done) {
      const end = exportChunk(from, cursor, out, 0)
      for (let at = 0; at < end; ) {
        at = importRecord(to, out, at, { nowSeconds, settings }, imported)
      }
    }
  }
  return imported
}

function onlyPeer(engine: Engine): FoundPeer {
  const [torrent] = checkTables(engine).values()
  const [peer] = torrent?.peers.values() ?? []
  assert.ok(peer)
  return peer
}

const peer = { infoHash: hashOf(1), ...clientOf(1) }

t.test('an announce before the import is newer and takes precedence', async t => {
  const [old, live] = [newEngine(), newEngine()]
  announceTo(old, { ...peer, port: 1000, left: 0, uploaded: 5 }, NOW - 100)
  announceTo(live, { ...peer, port: 2000, left: 7, uploaded: 9 }, NOW)
  const imported = copyAll(old, live)
  t.match(imported, { torrents: 1, peers: [0, 0], newer: 1 })
  t.match(onlyPeer(live), { port: 2000, left: 7, uploaded: 9, seen: NOW, seeder: false })
})

t.test('the later of two records of a peer applies, in either order', async t => {
  const [early, late] = [newEngine(), newEngine()]
  announceTo(early, { ...peer, port: 1000, left: 7 }, NOW - 100)
  announceTo(late, { ...peer, port: 2000, left: 0 }, NOW - 50)
  for (const order of [
    [early, late],
    [late, early],
  ]) {
    const into = newEngine()
    for (const from of order) copyAll(from, into)
    t.match(onlyPeer(into), { port: 2000, left: 0, seen: NOW - 50, seeder: true })
  }
})

t.test('the count of downloads is the larger of both, however often it is imported', async t => {
  const completed = (engine: Engine, times: number) => {
    for (let n = 0; n < times; n++) {
      announceTo(engine, { infoHash: hashOf(1), ...clientOf(n), event: Event.completed, left: 0 })
    }
  }
  const [saved, live, ahead] = [newEngine(), newEngine(), newEngine()]
  completed(saved, 10)
  completed(live, 2)
  completed(ahead, 30)
  copyAll(saved, live)
  copyAll(saved, live)
  copyAll(saved, ahead)
  t.equal(scrapeFrom(live, [hashOf(1)])[0]?.completed, 10)
  t.equal(scrapeFrom(ahead, [hashOf(1)])[0]?.completed, 30)
})

t.test('a `completed` that was counted does not count again when it is retried', async t => {
  const from = newEngine()
  const done = { ...peer, infoHash: hashOf(1), left: 0, event: Event.completed }
  announceTo(from, done)
  const into = newEngine()
  copyAll(from, into)
  t.match(announceTo(into, done), { seeders: 1, completed: 1 })
})

t.test('expired peers and torrents without peers are skipped', async t => {
  const from = newEngine()
  const limit = NOW - SETTINGS.peersTimeout
  announceTo(from, { ...peer, infoHash: hashOf(1) }, limit - 1)
  announceTo(from, { ...peer, infoHash: hashOf(2) }, limit)
  announceTo(from, { infoHash: hashOf(2), ...clientOf(2, 6) }, limit - 1)
  announceTo(from, { infoHash: hashOf(2), ...clientOf(3, 6) }, NOW)
  announceTo(from, { ...peer, infoHash: hashOf(3), event: Event.completed }, NOW)
  announceTo(from, { ...peer, infoHash: hashOf(3), event: Event.stopped }, NOW)
  const into = newEngine()
  t.match(copyAll(from, into), { torrents: 2, peers: [1, 1], expired: 2 })
  const found = checkTables(into)
  t.same(
    [...found.keys()].sort(),
    [2, 3].map(n => hashOf(n).toString('hex')),
  )
  t.equal(found.get(hashOf(3).toString('hex'))?.completed, 1, 'its downloads are remembered')
})

t.test('a restored torrent is swept like one that was announced', async t => {
  const [from, into] = [newEngine(), newEngine()]
  fillTorrent(from, 1, 700, 0, NOW - 10)
  copyAll(from, into)
  const sweepAt = (now: number) => {
    const cursor = createSweepCursor(0, 1)
    for (let n = 0; n < sweepSlicesPerPass(into, cursor); ) if (sweepSlice(into, cursor, now)) n++
    return checkTables(into)
  }
  t.equal(sweepAt(NOW - 10 + SETTINGS.peersTimeout).size, 1)
  t.equal(sweepAt(NOW - 9 + SETTINGS.peersTimeout).size, 0)
})

t.test('a time in the future becomes the current time', async t => {
  const [from, into] = [newEngine(), newEngine()]
  announceTo(from, peer, NOW + 100_000)
  copyAll(from, into)
  t.equal(onlyPeer(into).seen, NOW)
})

t.test('records that do not fit are counted, and existing ones stay', async t => {
  const from = newEngine()
  const into = newEngine(2 ** 20)
  fillTorrent(into, 1, 100)
  for (let torrent = 2; torrent < 20; torrent++) fillTorrent(from, torrent, 2000, torrent * 5000)
  const imported = copyAll(from, into, NOW + 100)
  t.ok(imported.refused > 1000, `${imported.refused} refused`)
  const found = checkTables(into)
  t.equal(found.get(hashOf(1).toString('hex'))?.peers.size, 100)
  const peers = [...found.values()].reduce((sum, torrent) => sum + torrent.peers.size, 0)
  t.equal(imported.peers[0] + imported.peers[1], peers - 100)
  t.equal(imported.peers[0] + imported.peers[1] + imported.refused, 18 * 2000)
})

t.test('restored torrents are marked as changed only with a database', async t => {
  const from = newEngine()
  announceTo(from, { ...peer, event: Event.completed, left: 0 })
  for (const [persistent, notePeers, flags] of [
    [false, false, 0],
    [true, false, 2],
    [false, true, 2],
  ] as const) {
    const settings = { ...SETTINGS, persistent, notePeers }
    const into = newEngine(64 * 2 ** 20, settings)
    copyAll(from, into, NOW, settings)
    t.equal(flagsOfOnlyTorrent(into), flags, `persistent ${persistent}, peers ${notePeers}`)
  }
})

t.test('a record whose length is wrong is refused', async t => {
  const { view } = allocate(recordBytes(2, 3))
  view.setUint16(RECORD_PEERS[0], 2, true)
  view.setUint16(RECORD_PEERS[1], 3, true)
  t.equal(recordEnd(view, 0, view.byteLength), view.byteLength)
  t.equal(recordEnd(view, 0, view.byteLength - 1), -1)
  t.equal(recordEnd(view, 0, RECORD_HEAD_BYTES - 1), -1)
  view.setUint16(RECORD_PEERS[0], RECORD_PEERS_MAX + 1, true)
  t.equal(recordEnd(view, 0, 2 ** 20), -1)
})

function flagsOfOnlyTorrent({ held, stripeCount }: Engine): number {
  for (let number = 0; number < stripeCount; number++) {
    holdStripe(held, number)
    let flags: number | undefined
    for (let place = 0; place < indexSize(held); place++) {
      const torrent = torrentAt(held, place)
      if (torrent !== NO_TORRENT) flags = torrentFlags(held.arena, torrent)
    }
    releaseStripe(held)
    if (flags !== undefined) return flags
  }
  throw new Error('there is no torrent')
}
