import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { setEnvironment } from '../fixtures/environment.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import {
  configFile,
  isAlive,
  LOOPBACK,
  launch,
  startTracker,
  type Tracker,
} from '../fixtures/start-tracker.ts'
import { testFolder } from './fixtures/engine-start.ts'

const BREAKER = fileURLToPath(new URL('./fixtures/breaking-engine-threads.js', import.meta.url))
const HANGER = fileURLToPath(new URL('./fixtures/hanging-workers.js', import.meta.url))

/** Trackers that are launched from now on load this module first. */
function preload(t: Test, file: string): void {
  setEnvironment(t, 'NODE_OPTIONS', `${process.env['NODE_OPTIONS'] ?? ''} --import=${file}`)
}

async function untilDead(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise(resolve => setTimeout(resolve, 5))
}

function titleOf(pid: number): string {
  if (process.platform !== 'linux') return ''
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0]?.trim() ?? ''
}

/** Checks that `tracker` answers over both families, stops, and logs both. */
async function checkRun(t: Test, tracker: Tracker, workers: number): Promise<void> {
  t.match(await getBencoded(tracker.url(4), announceTarget(1, 1)), { incomplete: 1 })
  t.match(await getBencoded(tracker.url(6), announceTarget(2, 1)), { complete: 1 })
  t.match(
    tracker.log.filter(({ msg, server }) => server === 'http' || msg === 'ready'),
    [
      { process: 'primary', msg: 'listening', server: 'http', address: '127.0.0.1', port: Number },
      { msg: 'listening', server: 'http', address: '::1', port: Number },
      { msg: 'ready', process: 'primary', pid: tracker.pid, workers, engine_threads: 2 },
    ],
  )
  t.equal(await tracker.stop(), 0)
  t.match(tracker.log[tracker.log.length - 1], {
    msg: 'stopped',
    torrents: 1,
    peers_ipv4: 1,
    peers_ipv6: 1,
    seeders: 1,
    leechers: 1,
  })
  for (const line of tracker.log) {
    t.strictSame(
      namesOf(line).filter(name => !/^[a-z][a-z0-9_]*$/.test(name)),
      [],
      line.msg,
    )
  }
  t.equal(tracker.stderr(), '')
}

/** The names of all fields of a log line. */
function namesOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  return Object.entries(value).flatMap(([name, field]) => [name, ...namesOf(field)])
}

t.test('it starts, answers over both families and stops, without workers', async t => {
  const tracker = await startTracker(t, { engine: { threads: 2 } })
  await checkRun(t, tracker, 0)
})

t.test('it starts, answers over both families and stops, with workers', async t => {
  const tracker = await startTracker(t, {
    udp_server: [],
    frontend: { workers: 2 },
    engine: { threads: 2 },
    tracker_config: { total_downloads: 0 },
  })
  const warnings = tracker.warnings()
  t.equal(warnings.length, 1, 'only the primary logs warnings about the configuration')
  t.match(warnings, [{ msg: 'configuration', warning: /total_downloads/ }])

  const first = await tracker.line(({ msg }) => msg === 'worker started')
  const pid = Number(first['pid'])
  const title = titleOf(pid)
  const lines = tracker.log.length
  process.kill(pid, 'SIGKILL')
  const second = await tracker.line(({ msg }) => msg === 'worker started', lines)
  // Titles are read from /proc.
  if (process.platform === 'linux') {
    t.equal(titleOf(tracker.pid), 'muster')
    t.match(title, /^muster: worker [12]$/)
    t.equal(titleOf(Number(second['pid'])), title, 'a replacement has the same number')
  }
  await checkRun(t, tracker, 2)
})

t.test('a crash of an engine thread ends all processes, with status 70', async t => {
  const folder = testFolder(t)
  setEnvironment(t, 'BREAK_ENGINE_THREADS', folder)
  preload(t, BREAKER)
  const tracker = await startTracker(t, { udp_server: [], frontend: { workers: 2 } })
  const workers = tracker.log
    .filter(({ msg }) => msg === 'worker started')
    .map(({ pid }) => Number(pid))
  t.equal(workers.length, 2)
  writeFileSync(join(folder, 'now'), '')
  t.equal(await tracker.ended, 70)
  await untilDead(workers)
  t.match(
    tracker.log.find(({ level }) => level === 60),
    { thread: 'engine-0', err: { message: 'broken by the test' } },
  )
})

t.test('SIGTERM during the start stops it and removes its folder', async t => {
  const folder = testFolder(t)
  setEnvironment(t, 'RUNTIME_DIRECTORY', folder)
  // The start never ends, so that the signal always comes before its end.
  preload(t, HANGER)
  const tracker = launch(t, [
    '--config',
    configFile(t, { ...LOOPBACK, frontend: { workers: 2 }, log: { level: 'info' } }),
  ])
  while (readdirSync(folder).length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(await tracker.stop(), 0)
  t.notOk(
    tracker.log.some(({ msg }) => msg === 'ready'),
    'it was not ready',
  )
  t.equal(tracker.log[tracker.log.length - 1]?.msg, 'stopped')
  t.same(readdirSync(folder), [])
})

t.test('a second signal ends it although a worker hangs', async t => {
  const tracker = await startTracker(t, { udp_server: [], frontend: { workers: 1 } })
  const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
  process.kill(Number(pid), 'SIGSTOP')
  process.kill(tracker.pid, 'SIGTERM')
  await tracker.line(({ msg }) => msg === 'stopping')
  process.kill(tracker.pid, 'SIGINT')
  t.equal(await tracker.ended, 70)
  await untilDead([Number(pid)])
})

t.test('a socket folder with too long a path is reported, with status 69', async t => {
  const folder = join(testFolder(t), 'x'.repeat(90))
  mkdirSync(folder)
  setEnvironment(t, 'RUNTIME_DIRECTORY', folder)
  const tracker = launch(t, ['--config', configFile(t, LOOPBACK)])
  t.equal(await tracker.ended, 69)
  t.match(tracker.stderr(), 'Set RUNTIME_DIRECTORY to a shorter one.')
})
