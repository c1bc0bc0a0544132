import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { createJobWords, JobWord, signalJobs } from '../../src/snapshot/job-words.ts'
import { restoreSnapshot } from '../../src/snapshot/read.ts'
import { SnapshotError, SnapshotStopped } from '../../src/snapshot/report.ts'
import { writeSnapshot } from '../../src/snapshot/write.ts'
import { threadUrl } from '../../src/thread-url.ts'
import { rounds } from '../fixtures/rounds.ts'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import { hashOf, NOW, SETTINGS } from '../fixtures/tracker-client.ts'
import { startChangingThreads, tornPeers } from './fixtures/changing-threads.ts'
import { announceRandomly, fillTorrent, newTables } from './fixtures/swarms.ts'

const writingProcess = fileURLToPath(threadUrl('./fixtures/writing-process', import.meta.url))

/** The contents of tables restored from a snapshot. */
async function restored(file: string) {
  const { tables, engine } = newTables()
  const report = await restoreSnapshot({ tables, settings: SETTINGS, file, nowSeconds: NOW })
  return { report, found: checkTables(engine) }
}

t.test(
  'a snapshot states its content, is readable by its owner only, and keeps the previous one',
  async t => {
    const file = join(t.testdir({}), 'swarms')
    const { tables, engine } = newTables()
    fillTorrent(engine, 1, 30)
    t.match(await writeSnapshot({ tables, file, nowSeconds: NOW }), {
      file,
      createdSeconds: NOW,
      torrents: 1,
      peers: [20, 10],
      bytes: statSync(file).size,
    })
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.notOk(existsSync(`${file}.previous`))
    const first = readFileSync(file)
    fillTorrent(engine, 2, 30)
    t.match(await writeSnapshot({ tables, file, nowSeconds: NOW + 1 }), { torrents: 2 })
    t.same(readFileSync(`${file}.previous`), first)
    t.same(readdirSync(join(file, '..')).sort(), ['swarms', 'swarms.previous'])
    t.equal((await restored(file)).found.size, 2)
  },
)

t.test('empty tables can be written to a snapshot', async t => {
  const file = join(t.testdir({}), 'swarms')
  t.match(await writeSnapshot({ tables: newTables().tables, file, nowSeconds: NOW }), {
    torrents: 0,
    peers: [0, 0],
  })
  const { report, found } = await restored(file)
  t.match(report, { file, torrents: 0, skipped: [] })
  t.equal(found.size, 0)
})

t.test('the next snapshot removes the files of a killed writer, and no others', async t => {
  const folder = t.testdir({
    'swarms.4711-0a1b2c3d.tmp': 'left behind',
    'other.4711-0a1b2c3d.tmp': 'another file of the same kind',
    'swarms.notes.tmp': 'not ours',
  })
  const { tables } = newTables()
  await writeSnapshot({ tables, file: join(folder, 'swarms'), nowSeconds: NOW })
  t.same(readdirSync(folder).sort(), ['other.4711-0a1b2c3d.tmp', 'swarms', 'swarms.notes.tmp'])
})

t.test('an error of the file system is one sentence', async t => {
  const { tables } = newTables()
  const file = join(t.testdir({}), 'nowhere', 'swarms')
  const error = await writeSnapshot({ tables, file, nowSeconds: NOW }).catch(error => error)
  t.ok(error instanceof SnapshotError)
  t.match(error.message, /^cannot write the snapshot .*nowhere\/swarms: ENOENT/)
})

t.test('a stopped write changes no file', async t => {
  const folder = t.testdir({ swarms: 'the last one' })
  const words = createJobWords()
  signalJobs(words, JobWord.stop)
  const file = join(folder, 'swarms')
  await t.rejects(
    writeSnapshot({ tables: newTables().tables, file, nowSeconds: NOW, words }),
    new SnapshotStopped(),
  )
  t.same(readdirSync(folder), ['swarms'])
  t.equal(readFileSync(file, 'utf8'), 'the last one')
})

t.test('a full disk leaves the last snapshots unchanged', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'swarms')
  const { tables, engine } = newTables()
  fillTorrent(engine, 1, 30)
  await writeSnapshot({ tables, file, nowSeconds: NOW })
  await writeSnapshot({ tables, file, nowSeconds: NOW + 1 })
  const before = [readFileSync(file), readFileSync(`${file}.previous`)]
  // A limit of 64 blocks on the files of a process has the effect of a full disk, in the middle of
  // a file. NODE_OPTIONS is unset because the module that the test runner loads into every child
  // dies of the limit's signal, which Node itself ignores.
  const command = 'unset NODE_OPTIONS; ulimit -f 64; exec "$@"'
  const child = execFile('/bin/sh', [
    '-c',
    command,
    'sh',
    process.execPath,
    writingProcess,
    file,
    '20000',
    'once',
  ])
  let printed = ''
  child.stdout?.on('data', data => {
    printed += data
  })
  const [code] = await once(child, 'close')
  t.equal(code, 1)
  t.match(
    printed,
    /^cannot write the snapshot .*: there is not enough space for it \(EFBIG\)\. The last snapshot is unchanged\./,
  )
  t.same(readdirSync(folder).sort(), ['swarms', 'swarms.previous'])
  t.same([readFileSync(file), readFileSync(`${file}.previous`)], before)
})

/**
 * Resolves once a process that was sent SIGSTOP has stopped, which takes a moment because each
 * thread stops by itself.
 */
async function stopped(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`
  const stateOf = (task: string) => {
    const stat = readFileSync(join(tasks, task, 'stat'), 'latin1')
    return stat[stat.lastIndexOf(')') + 2]
  }
  while (!readdirSync(tasks).every(task => stateOf(task) === 'T')) {
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** Peers of a snapshot that takes long enough to be interrupted. */
const KILLED_PEERS = rounds(60_000, 150_000)

t.test('kill -9 during a write does not damage the last snapshot', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'swarms')
  const child = spawn(process.execPath, [writingProcess, file, String(KILLED_PEERS), 'forever'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  await once(child.stdout, 'data')
  const watcher = watch(folder)
  for (;;) {
    const [, name] = (await once(watcher, 'change')) as [string, string]
    if (!name.endsWith('.tmp')) continue
    child.kill('SIGSTOP')
    await stopped(child.pid ?? 0)
    if (existsSync(join(folder, name))) break
    child.kill('SIGCONT')
  }
  child.kill('SIGKILL')
  watcher.close()
  t.same(await exited, [null, 'SIGKILL'])
  t.ok(
    readdirSync(folder).some(name => name.endsWith('.tmp')),
    'it was in the middle of one',
  )
  const { report, found } = await restored(file)
  t.match(report.peers, [(KILLED_PEERS * 2) / 3, KILLED_PEERS / 3])
  t.equal(found.size, KILLED_PEERS / 100)
  const { tables } = newTables()
  await writeSnapshot({ tables, file, nowSeconds: NOW })
  t.same(readdirSync(folder).sort(), ['swarms', 'swarms.previous'])
})

t.test('between the two renames, the previous snapshot is loaded', async t => {
  const file = join(t.testdir({}), 'swarms')
  const { tables, engine } = newTables()
  fillTorrent(engine, 1, 30)
  await writeSnapshot({ tables, file: `${file}.previous`, nowSeconds: NOW })
  writeFileSync(`${file}.4711-0a1b2c3d.tmp`, 'whole, perhaps')
  const { report } = await restored(file)
  t.match(report, { file: `${file}.previous`, peers: [20, 10] })
  t.match(report.skipped, [{ file, reason: /^ENOENT/ }])
})

t.test('a snapshot written during announces has no torn peer', async t => {
  const seed = testSeed(t)
  const file = join(t.testdir({}), 'swarms')
  const { tables, engine } = newTables(256 * 2 ** 20)
  // Unchanged torrents among changing ones: several with few peers, and one with many.
  const unchanged = rounds(800, 2000)
  for (let torrent = 1000; torrent < 1000 + unchanged; torrent++) fillTorrent(engine, torrent, 9)
  fillTorrent(engine, 3000, 4000)
  const untouched = checkTables(engine)
  const threads = startChangingThreads(2, {
    tables,
    torrents: 20,
    clients: 600,
    leave: true,
    seed,
  })
  for (let round = 0; round < rounds(1, 3); round++) {
    threads.announced(rounds(5000, 20_000))
    const report = await writeSnapshot({ tables, file, nowSeconds: NOW })
    t.equal(report.torrents, unchanged + 21)
    const { found } = await restored(file)
    for (const [name, torrent] of untouched) {
      if (!isDeepStrictEqual(found.get(name), torrent)) t.fail(`torrent ${name} differs`)
      found.delete(name)
    }
    t.equal(found.size, 20)
    t.same(tornPeers(found), [])
  }
  const present = await threads.stop()
  await writeSnapshot({ tables, file, nowSeconds: NOW })
  const { found } = await restored(file)
  t.ok(
    isDeepStrictEqual(found, checkTables(engine)),
    'what is there when nothing changes is all of it',
  )
  let peers = 0
  for (let torrent = 0; torrent < 20; torrent++) {
    peers += found.get(hashOf(torrent).toString('hex'))?.peers.size ?? 0
  }
  t.equal(peers, present.size)
})

t.test('random swarms of both families are restored unchanged', async t => {
  for (let round = 0; round < rounds(1, 4); round++) {
    const seed = testSeed(t) + round
    const random = seededRandom(seed)
    const file = join(t.testdir({}), 'swarms')
    const { tables, engine } = newTables()
    announceRandomly(engine, random, {
      torrents: 1 + random(3000),
      clients: 1 + random(8000),
      announces: rounds(15_000, 40_000),
    })
    const report = await writeSnapshot({ tables, file, nowSeconds: NOW })
    const { report: back, found } = await restored(file)
    t.same([back.torrents, back.peers], [report.torrents, report.peers])
    t.match(back, { expired: 0, newer: 0, refused: 0, skipped: [] })
    t.ok(isDeepStrictEqual(found, checkTables(engine)), 'all torrents and peers, byte for byte')
  }
})
