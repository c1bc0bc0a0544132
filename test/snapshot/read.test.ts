import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import t, { type Test } from 'tap'
import { totals } from '../../src/engine/totals.ts'
import { Event } from '../../src/protocol/records.ts'
import { createJobWords, JobWord, signalJobs } from '../../src/snapshot/job-words.ts'
import { restoreSnapshot } from '../../src/snapshot/read.ts'
import { type RestoreReport, SnapshotStopped } from '../../src/snapshot/report.ts'
import { writeSnapshot } from '../../src/snapshot/write.ts'
import { musterVersion } from '../../src/version.ts'
import { rounds } from '../fixtures/rounds.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  SETTINGS,
  scrapeFrom,
} from '../fixtures/tracker-client.ts'
import { startChangingThreads, tornPeers } from './fixtures/changing-threads.ts'
import { fillTorrent, newTables } from './fixtures/swarms.ts'

const HEADER_BYTES = 28
const SECTION_HEAD_BYTES = 12

/** A snapshot of `torrents` torrents. */
async function snapshotOf(file: string, torrents: number, peers = 30): Promise<Buffer> {
  const { tables, engine } = newTables()
  for (let torrent = 0; torrent < torrents; torrent++) fillTorrent(engine, torrent, peers)
  await writeSnapshot({ tables, file, nowSeconds: NOW })
  return readFileSync(file)
}

/** Where the sections of a snapshot begin, and where the last one ends. */
function sectionsOf(snapshot: Buffer): number[] {
  const starts = [HEADER_BYTES]
  for (let at = HEADER_BYTES; at < snapshot.length; ) {
    at += SECTION_HEAD_BYTES + snapshot.readUInt32LE(at + 8)
    starts.push(at)
  }
  return starts
}

const spare = newTables()

/** Fails unless the bytes are rejected before any part of them is loaded. */
async function refuse(t: Test, file: string, bytes: Uint8Array, what: string): Promise<void> {
  writeFileSync(file, bytes)
  const options = { tables: spare.tables, settings: SETTINGS, file, nowSeconds: NOW }
  const report = await restoreSnapshot(options)
  const { torrents, peers } = totals(spare.engine)
  if (report.file !== undefined || torrents + peers[0] + peers[1] > 0) t.fail(`${what} is loaded`)
  if (report.skipped[0]?.file !== file) t.fail(`${what} is not reported`)
  if (existsSync(file) || !existsSync(`${file}.damaged`)) t.fail(`${what} is not put aside`)
}

t.test('a truncated snapshot is reported, and no part of it is loaded', async t => {
  const file = join(t.testdir({}), 'swarms')
  const whole = await snapshotOf(file, 1, 5)
  for (let bytes = 0; bytes < whole.length; bytes += rounds(13, 1)) {
    await refuse(t, file, whole.subarray(0, bytes), `what ends after ${bytes} bytes`)
  }
  await refuse(t, file, Buffer.concat([whole, Buffer.alloc(1)]), 'a byte too many')
  t.ok(whole.length > 300, `${whole.length} lengths`)
})

t.test('a snapshot with any byte changed is reported, and no part of it is loaded', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const file = join(t.testdir({}), 'swarms')
  const whole = await snapshotOf(file, 1, 5)
  for (let at = 0; at < whole.length; at += 1 + random(rounds(16, 1))) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] as number) ^ (1 + random(255))
    await refuse(t, file, changed, `a change at ${at}`)
  }
  const large = await snapshotOf(file, 2500)
  t.ok(sectionsOf(large).length > 4, 'several sections')
  for (let round = 0; round < rounds(4, 60); round++) {
    const changed = Buffer.from(large)
    const first = random(large.length)
    const bytes = Math.min(large.length - first, 1 + random(5000))
    for (let n = 0; n < bytes; n++) changed[first + n] = random(256)
    if (!changed.equals(large)) await refuse(t, file, changed, `${bytes} from ${first}`)
  }
})

t.test('sections that are missing, repeated, or of another snapshot are detected', async t => {
  const file = join(t.testdir({}), 'swarms')
  const one = await snapshotOf(file, 2500)
  const other = await snapshotOf(`${file}.other`, 2500)
  const starts = sectionsOf(one)
  const parts = (snapshot: Buffer) =>
    [0, ...sectionsOf(snapshot).slice(0, -1)].map((start, n, all) =>
      snapshot.subarray(start, all[n + 1]),
    )
  const [header, metadata, first, second, ...rest] = parts(one) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    ...Buffer[],
  ]
  t.ok(rest.length > 1 && starts.length === rest.length + 4)
  const end = rest.at(-1) as Buffer
  await refuse(t, file, Buffer.concat([header, metadata, second, ...rest]), 'one missing')
  await refuse(t, file, Buffer.concat([header, metadata, first, first, second, ...rest]), 'twice')
  await refuse(t, file, Buffer.concat([header, metadata, second, first, ...rest]), 'swapped')
  await refuse(t, file, Buffer.concat([header, metadata, end]), 'only its end')
  const foreign = parts(other)[2] as Buffer
  t.notOk(foreign.equals(first), 'the order of torrents differs with the key')
  await refuse(t, file, Buffer.concat([header, metadata, foreign, second, ...rest]), 'foreign')
})

t.test('a snapshot of another format version is refused', async t => {
  const file = join(t.testdir({}), 'swarms')
  const snapshot = await snapshotOf(file, 1)
  const { crc32 } = await import('node:zlib')
  snapshot.writeUInt32LE(2, 8)
  snapshot.writeUInt32LE(crc32(snapshot.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  writeFileSync(file, snapshot)
  const options = { tables: newTables().tables, settings: SETTINGS, file, nowSeconds: NOW }
  const { skipped } = await restoreSnapshot(options)
  t.match(skipped[0]?.reason, /format is version 2; this muster reads version 1/)
})

t.test('the metadata has version, time and counts of a snapshot', async t => {
  const snapshot = await snapshotOf(join(t.testdir({}), 'swarms'), 3)
  const [start = 0, end] = sectionsOf(snapshot)
  const metadata = new Packr({ useRecords: false }).unpack(
    snapshot.subarray(start + SECTION_HEAD_BYTES, end),
  )
  t.same(metadata, { created: NOW, version: musterVersion(), torrents: 3, peers: [60, 30] })
})

/** Restores into new tables. */
async function restore(file: string, nowSeconds = NOW) {
  const { tables, engine } = newTables()
  const report = await restoreSnapshot({ tables, settings: SETTINGS, file, nowSeconds })
  return { report, engine, found: checkTables(engine) }
}

t.test('a missing snapshot is a first start, not an error', async t => {
  const { report, found } = await restore(join(t.testdir({}), 'swarms'))
  t.match(report, { file: undefined, contents: undefined, torrents: 0, skipped: [] })
  t.equal(found.size, 0)
})

t.test('the previous snapshot is loaded if the last one is damaged or missing', async t => {
  const file = join(t.testdir({}), 'swarms')
  await snapshotOf(file, 1)
  await snapshotOf(file, 2)
  writeFileSync(file, readFileSync(file).fill(0, 500, 510))
  const { report, found } = await restore(file)
  t.match(report, { file: `${file}.previous`, torrents: 1, contents: { torrents: 1 } })
  t.match(report.skipped, [{ file, reason: /damaged/ }])
  t.equal(found.size, 1)
  t.ok(existsSync(`${file}.damaged`), 'put aside, so that it does not become the previous one')

  await snapshotOf(file, 3)
  t.match((await restore(file)).report, { file, torrents: 3, skipped: [] })
  t.equal((await restore(`${file}.previous`)).found.size, 1, 'still the whole one')
  rmSync(file)
  const missing = await restore(file)
  t.match(missing.report, { file: `${file}.previous`, skipped: [{ file, reason: /^ENOENT/ }] })

  writeFileSync(`${file}.previous`, 'nothing')
  t.match((await restore(file)).report, {
    file: undefined,
    skipped: [{ file }, { file: `${file}.previous`, reason: /it is not a snapshot|early/ }],
  })
})

t.test('an unreadable file is reported and stays', async t => {
  const file = join(t.testdir({ swarms: {} }), 'swarms')
  const { report } = await restore(file)
  t.match(report, { file: undefined, skipped: [{ file, reason: /EISDIR/ }, {}] })
  t.ok(existsSync(file))
})

t.test('peers that have expired since are skipped', async t => {
  const file = join(t.testdir({}), 'swarms')
  const { tables, engine } = newTables()
  fillTorrent(engine, 1, 600, 0, NOW)
  fillTorrent(engine, 1, 300, 600, NOW + 100)
  fillTorrent(engine, 2, 50, 0, NOW)
  await writeSnapshot({ tables, file, nowSeconds: NOW + 100 })
  const at = async (seconds: number) => {
    const { report, found } = await restore(file, seconds)
    return [report.torrents, report.peers[0] + report.peers[1], report.expired, found.size]
  }
  t.same(await at(NOW + SETTINGS.peersTimeout), [2, 950, 0, 2])
  t.same(await at(NOW + SETTINGS.peersTimeout + 1), [1, 300, 650, 1])
  t.same(await at(NOW + SETTINGS.peersTimeout + 101), [0, 0, 950, 0])
})

t.test('a stopped restore ends and holds no lock', async t => {
  const file = join(t.testdir({}), 'swarms')
  await snapshotOf(file, 3)
  const { tables, engine } = newTables()
  const words = createJobWords()
  signalJobs(words, JobWord.stop)
  const options = { tables, settings: SETTINGS, file, nowSeconds: NOW, words }
  await t.rejects(restoreSnapshot(options), new SnapshotStopped())
  t.equal(checkTables(engine).size, 0)
  t.ok(existsSync(file))
})

t.test('a restore does not overwrite the announces of two threads', async t => {
  const seed = testSeed(t)
  const file = join(t.testdir({}), 'swarms')
  const saved = newTables(256 * 2 ** 20)
  // All clients of the threads are in the snapshot already, seen earlier and with other numbers,
  // and as many more.
  const torrents = rounds(8, 40)
  for (let torrent = 0; torrent < torrents; torrent++) {
    for (let number = 0; number < 4000; number++) {
      announceTo(
        saved.engine,
        {
          infoHash: hashOf(torrent),
          ...clientOf(number, number % 3 ? 4 : 6),
          port: 2,
          uploaded: 1,
          downloaded: 1,
          left: number % 2,
          event: number === 1 ? Event.completed : Event.none,
          numwant: 0,
        },
        NOW - 100,
      )
    }
  }
  await writeSnapshot({ tables: saved.tables, file, nowSeconds: NOW - 50 })
  const { tables, engine } = newTables(256 * 2 ** 20)
  const live = { infoHash: hashOf(0), ...clientOf(3999, 6), left: 1, uploaded: 1, downloaded: 1 }
  for (let n = 0; n < 3; n++) {
    announceTo(engine, { ...live, port: 2, event: Event.completed, left: 0 })
    announceTo(engine, { ...live, port: 2 })
  }
  const threads = startChangingThreads(2, { tables, torrents, clients: 1000, leave: false, seed })
  threads.announced(10_000)
  const report: RestoreReport = await restoreSnapshot({
    tables,
    settings: SETTINGS,
    file,
    nowSeconds: NOW,
  })
  threads.announced(1000)
  const present = await threads.stop()
  const found = checkTables(engine)
  t.equal(found.size, torrents)
  t.same(tornPeers(found), [])
  t.ok(report.newer > 0, `${report.newer} were there already`)
  let peers = 0
  for (const [torrent, { peers: members }] of found) {
    peers += members.size
    for (const { peerId, uploaded, seen } of members.values()) {
      const number = Number.parseInt(peerId.slice(-8), 16)
      const announced = present.has(`${Number.parseInt(torrent.slice(-8), 16)} ${number}`)
      if (uploaded > 1 !== announced || (announced && seen !== NOW)) t.fail(`client ${number}`)
    }
  }
  t.equal(peers, torrents * 4000, 'everybody once')
  t.same(
    scrapeFrom(engine, [hashOf(0), hashOf(1)]).map(({ completed }) => completed),
    [3, 0],
    'downloads: the larger of both',
  )
})
