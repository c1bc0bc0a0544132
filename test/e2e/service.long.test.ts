import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openNotifySocket } from '../app/fixtures/notify-socket.ts'
import { startWithApi } from '../fixtures/admin-client.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { getBencoded, scrapeCounts } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { startTracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'

function fixture(name: string): string {
  return fileURLToPath(new URL(`../app/fixtures/${name}.js`, import.meta.url))
}

/**
 * Loads a fixture into the trackers that are started from now on; it does its work when the
 * function is called.
 */
function prepare(t: Test, name: string, variable: string): () => void {
  const folder = temporaryFolder(t)
  setEnvironment(t, variable, folder)
  setEnvironment(
    t,
    'NODE_OPTIONS',
    `${process.env['NODE_OPTIONS'] ?? ''} --import=${fixture(name)}`,
  )
  return () => writeFileSync(join(folder, 'now'), '')
}

function notifySocket(t: Test) {
  const path = join(temporaryFolder(t), 'notify')
  setEnvironment(t, 'NOTIFY_SOCKET', path)
  setEnvironment(t, 'WATCHDOG_USEC', '1000000')
  return openNotifySocket(t, path)
}

t.test('the primary alone notifies systemd, in order', async t => {
  const systemd = notifySocket(t)
  const tracker = await startTracker(t, { frontend: { workers: 1 } })
  await systemd.line(line => line === 'WATCHDOG=1')
  await getBencoded(tracker.url(4), announceTarget(1, 1))
  await getBencoded(tracker.url(6), announceTarget(2, 1))
  await systemd.line(line =>
    /^STATUS=\d+ announces\/s, 1 torrents, 1 peers over IPv4, 1 over IPv6/.test(line),
  )
  const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
  t.match(environment, 'PATH=')
  t.notMatch(environment, /NOTIFY_SOCKET|WATCHDOG/)
  process.kill(tracker.pid, 'SIGHUP')
  await tracker.line(({ msg }) => msg === 'reloaded')
  const readied = () => systemd.lines.filter(line => line === 'READY=1').length
  await systemd.line(() => readied() === 2)
  t.ok(systemd.lines.indexOf('RELOADING=1') < systemd.lines.lastIndexOf('READY=1'))
  t.equal(await tracker.stop(), 0)
  await systemd.line(line => line === 'STOPPING=1')
  t.match(systemd.lines.slice(0, 3), [
    'READY=1',
    /^STATUS=0 announces\/s, 0 torrents/,
    'WATCHDOG=1',
  ])
  t.equal(systemd.lines.at(-1), 'STOPPING=1')
  t.equal(readied(), 2)
})

t.test('a stuck engine thread stops the watchdog pings and is logged', async t => {
  const stick = prepare(t, 'stuck-engine-threads', 'STICK_ENGINE_THREADS')
  const systemd = notifySocket(t)
  const { tracker, admin } = await startWithApi(t, { frontend: { workers: 0 } })
  t.match(await admin.call('GET', '/ready'), { status: 200 })
  stick()
  t.match(await tracker.line(({ msg }) => msg === 'thread makes no progress'), {
    level: 50,
    thread: 'engine-0',
    stalled_ms: 10_000,
  })
  t.match(await admin.call('GET', '/ready'), { status: 503 })
  const alive = () => systemd.lines.filter(line => line === 'WATCHDOG=1').length
  const before = alive()
  // The main thread is healthy and continues to report the status.
  const { length } = systemd.lines
  await systemd.line(line => line.startsWith('STATUS=') && systemd.lines.length > length)
  t.equal(alive(), before)
  t.equal(await tracker.stop('SIGKILL'), 'SIGKILL')
})

t.test('a stuck worker is killed and replaced', async t => {
  const tracker = await startTracker(t, { frontend: { workers: 1 } })
  const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
  await getBencoded(tracker.url(), announceTarget(1, 1))
  process.kill(Number(pid), 'SIGSTOP')
  t.match(await tracker.line(({ msg }) => msg === 'worker makes no progress; killing it'), {
    level: 50,
    process: 'worker-1',
    pid,
  })
  t.match(await tracker.line(({ msg }) => msg === 'worker died'), { pid, reason: 'SIGKILL' })
  await tracker.line(({ msg, pid: other }) => msg === 'worker started' && other !== pid)
  t.match(await getBencoded(tracker.url(), announceTarget(3, 1)), { incomplete: 2 })
  t.equal(await tracker.stop(), 0)
})

t.test('after a crash of an engine thread, the next start restores the snapshot', async t => {
  const folder = temporaryFolder(t)
  const breakThreads = prepare(t, 'breaking-engine-threads', 'BREAK_ENGINE_THREADS')
  const config = { frontend: { workers: 1 } }
  const first = await startTracker(t, config, folder)
  for (let n = 0; n < 50; n++) await getBencoded(first.url(), announceTarget(n, 1))
  t.equal(await first.stop(), 0)
  const second = await startTracker(t, config, folder)
  await second.line(({ msg }) => msg === 'swarms restored')
  breakThreads()
  const broken = Date.now()
  t.equal(await second.ended, 70, 'a status after which systemd starts it again')
  t.match(
    second.log.filter(({ level }) => level === 60),
    [{ msg: 'thread crashed; exiting', thread: 'engine-0' }],
  )
  const third = await startTracker(t, config, folder)
  await third.line(({ msg }) => msg === 'swarms restored')
  t.comment(`the swarms restored ${Date.now() - broken} ms after the thread broke`)
  t.match(await scrapeCounts(third.url(), hashOf(1)), { complete: 25, incomplete: 25 })
  t.equal(await third.stop(), 0)
})
