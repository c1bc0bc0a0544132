import cluster from 'node:cluster'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FrontendCounter, Protocol, readFrontend } from '../../src/counters/frontend.ts'
import { createProcesses } from '../../src/counters/processes.ts'
import type { LogSettings } from '../../src/log.ts'
import { Family } from '../../src/protocol/records.ts'
import { claimListeners } from '../../src/serving/port-claims.ts'
import { createWorkerNumbers } from '../../src/serving/worker-ids.ts'
import { Workers } from '../../src/serving/workers.ts'
import { listenerOn, runningEngineThreads } from '../app/fixtures/engine-start.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { announceTarget } from '../fixtures/load.ts'
import { isAlive } from '../fixtures/start-tracker.ts'
import { WEBSOCKET_LIMITS } from '../fixtures/websocket-limits.ts'
import { createMemoryAdmin } from '../frontends/api/fixtures/memory-admin.ts'

const SILENT: LogSettings = { level: 'silent', format: 'json' }

/** Resolves once `holds`. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10)
}

async function begin(t: Test, count: number, wantedPort?: number) {
  const engineThreads = await runningEngineThreads(t)
  const testLog = createTestLog()
  const claims = await claimListeners([listenerOn('127.0.0.1', 0)], testLog.log)
  t.teardown(claims.release)
  const listeners =
    wantedPort === undefined ? claims.listeners : [listenerOn('127.0.0.1', wantedPort)]
  const processes = createProcesses(() => performance.now())
  const workers = new Workers({
    count,
    listeners: { http: listeners, api: [], connectionsPerAddress: 0, websocket: WEBSOCKET_LIMITS },
    admin: createMemoryAdmin(),
    processes,
    socketPathFor: engineThreads.socketPathFor,
    folder: engineThreads.folder,
    numbers: createWorkerNumbers(
      engineThreads.engine.deadWorkers,
      engineThreads.removePeersOfDeadWorkers,
    ),
    logSettings: SILENT,
    log: testLog.log,
  })
  t.teardown(() => workers.stop(5000))
  return { ...testLog, processes, workers, url: `http://127.0.0.1:${listeners[0]?.port}` }
}

t.test('all workers serve one port and one swarm; a stop ends all', async t => {
  const { workers, lines, url } = await begin(t, 2)
  await workers.listening
  const pids = lines.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
  t.equal(pids.length, 2)
  for (let n = 1; n <= 20; n++) await getBencoded(url, announceTarget(2 * n + 1, 1))
  t.match(await getBencoded(url, announceTarget(1, 1)), { incomplete: 21 })
  await workers.stop(5000)
  t.notOk(pids.some(isAlive))
  t.notOk(lines.some(({ level }) => level > 30))
})

t.test('a killed worker is replaced under its number', async t => {
  const { workers, line, url } = await begin(t, 1)
  await workers.listening
  const { pid } = await line(({ msg }) => msg === 'worker started')
  await getBencoded(url, announceTarget(1, 1))
  process.kill(Number(pid), 'SIGKILL')
  t.match(await line(({ msg }) => msg === 'worker died'), {
    level: 40,
    process: 'worker-1',
    pid,
    reason: 'SIGKILL',
    restart_ms: 0,
  })
  const back = await line(({ msg, pid: other }) => msg === 'worker started' && other !== pid)
  t.match(back, { process: 'worker-1' })
  t.match(await getBencoded(url, announceTarget(3, 1)), { incomplete: 2 }, 'with the same swarm')
})

t.test('the counts of a killed worker stay, and its replacement reports too', async t => {
  const { line, processes, workers, url } = await begin(t, 1)
  await workers.listening
  const announces = () =>
    readFrontend(processes.counts().frontends, Protocol.http, Family.ipv4, FrontendCounter.announce)
  for (let n = 1; n <= 3; n++) await getBencoded(url, announceTarget(n, 1))
  await until(() => announces() === 3)
  const [first] = processes.all
  t.match(first, { number: 1, report: { cpuSeconds: Number, residentBytes: Number } })
  process.kill(first?.pid ?? 0, 'SIGKILL')
  // It reports before it listens.
  await line(({ msg, pid }) => msg === 'worker started' && pid !== first?.pid)
  await until(() => processes.all[0]?.report !== undefined && processes.all[0].pid !== first?.pid)
  t.equal(processes.restarts, 1)
  await getBencoded(url, announceTarget(4, 1))
  // A worker that is killed for being late would stop reporting.
  await workers.stop(60_000)
  await until(() => processes.all.length === 0)
  t.equal(announces(), 4, 'one that is stopped reports to the end')
})

t.test('a worker ends when its channel to the primary closes', async t => {
  const { workers, line } = await begin(t, 1)
  await workers.listening
  const { pid } = await line(({ msg }) => msg === 'worker started')
  const worker = Object.values(cluster.workers ?? {}).find(other => other?.process.pid === pid)
  worker?.process.disconnect()
  t.match(await line(({ msg }) => msg === 'worker died'), { pid, reason: 'exit status 0' })
})

t.test('a worker leaves the signals of a terminal to the primary', async t => {
  const { workers, line, lines, url } = await begin(t, 1)
  await workers.listening
  const { pid } = await line(({ msg }) => msg === 'worker started')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(Number(pid), signal)
  t.match(await getBencoded(url, announceTarget(1, 1)), { incomplete: 1 })
  t.notOk(lines.some(({ msg }) => msg === 'worker died'))
})

t.test('workers that cannot listen are an error that the operator can fix', async t => {
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const { workers, lines } = await begin(t, 1, port)
  await t.rejects(workers.listening, {
    exitStatus: 69,
    message: `cannot listen on 127.0.0.1 port ${port}`,
  })
  t.match(lines, [{ msg: 'worker cannot listen', process: 'worker-1' }])
})

t.test('the log reports only the first deaths of a worker that dies repeatedly', async t => {
  const { processes, workers, line, lines } = await begin(t, 1)
  await workers.listening
  const killed = new Set<number>()
  const alive = () => processes.all.find(({ pid }) => !killed.has(pid))
  for (let death = 1; death <= 5; death++) {
    // Before it listens: the counter of early deaths is reset for a worker that runs for a while.
    await until(() => alive() !== undefined)
    const pid = alive()?.pid ?? 0
    killed.add(pid)
    process.kill(pid, 'SIGKILL')
    await line(({ pid: dead, msg }) => dead === pid && msg !== 'worker started')
  }
  t.same(
    lines.filter(({ reason }) => reason === 'SIGKILL').map(({ level, msg }) => `${level} ${msg}`),
    [...new Array<string>(4).fill('40 worker died'), '50 worker keeps dying'],
  )
})

t.test('a stop does not wait for a worker that is still starting', async t => {
  const { workers, lines } = await begin(t, 2)
  await workers.stop(60_000)
  t.same(lines, [])
})

t.test(
  'the start of a worker that the system refuses is retried, and the primary continues',
  async t => {
    const { workers, line, lines, url } = await begin(t, 1)
    await workers.listening
    const { pid } = await line(({ msg }) => msg === 'worker started')
    const { execPath } = process
    const restore = () => {
      process.execPath = execPath
    }
    t.teardown(restore)
    process.execPath = '/nonexistent/node'
    process.kill(Number(pid), 'SIGKILL')
    await line(({ restart_ms: millis }) => millis === 200)
    restore()
    await line(({ msg, pid: other }) => msg === 'worker started' && other !== pid)
    const failed = lines.filter(({ reason }) => String(reason).includes('ENOENT'))
    t.ok(failed.length >= 2)
    t.notOk(
      failed.some(line => 'pid' in line),
      'none was ever there',
    )
    t.match(await getBencoded(url, announceTarget(1, 1)), { incomplete: 1 })
  },
)

t.test('a failed replacement leaves the running workers in place', async t => {
  const { lines, url, workers } = await begin(t, 2)
  await workers.listening
  const unavailable = {
    http: [listenerOn('192.0.2.1', 6969)],
    api: [],
    connectionsPerAddress: 0,
    websocket: WEBSOCKET_LIMITS,
  }
  await t.rejects(workers.replace(unavailable, SILENT), {
    message: 'worker 1 could not be replaced: exit status 1',
  })
  t.match(lines.at(-1), {
    msg: 'worker cannot listen',
    reason: 'cannot listen on 192.0.2.1 port 6969',
  })
  for (let n = 1; n <= 10; n++) await getBencoded(url, announceTarget(n, 1))
  const started = () => lines.filter(({ msg }) => msg === 'worker started')
  t.equal(started().length, 2)
  process.kill(Number(started()[0]?.['pid']), 'SIGKILL')
  await until(() => started().length === 3)
  t.match(await getBencoded(url, announceTarget(11, 1)), { complete: Number }, 'as before')
})
