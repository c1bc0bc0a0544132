import { readdirSync } from 'node:fs'
import t from 'tap'
import { testFolder } from '../app/fixtures/engine-start.ts'
import { setEnvironment } from '../fixtures/environment.ts'
import { RawConnection } from '../fixtures/http-client.ts'
import { announceTarget, answers, startLoad } from '../fixtures/load.ts'
import { isAlive, startTracker } from '../fixtures/start-tracker.ts'

function workerPids(tracker: Awaited<ReturnType<typeof startTracker>>): number[] {
  return tracker.log.filter(({ msg }) => msg === 'worker started').map(({ pid }) => Number(pid))
}

async function allExited(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise(resolve => setImmediate(resolve))
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  for (const workers of [0, 2]) {
    t.test(
      `${signal} under load answers what waits and exits 0, with ${workers} workers`,
      async t => {
        const tracker = await startTracker(t, { frontend: { workers } })
        const load = await startLoad(tracker.port('http', '127.0.0.1'), 16, 3, 0)
        await answers(load, 500)
        t.equal(await tracker.stop(signal), 0)
        const reports = await load.stop()
        t.equal(
          reports.reduce((sum, { bad }) => sum + bad, 0),
          0,
          'no answer was a failure',
        )
        t.match(await tracker.line(({ msg }) => msg === 'stopped'), {
          torrents: 3,
          peers_ipv4: Number,
          uptime_s: Number,
        })
        t.notOk(workerPids(tracker).some(isAlive), 'no worker is left')
        t.notOk(
          tracker.log.some(({ level }) => level >= 50),
          'and no error was logged',
        )
      },
    )
  }
}

t.test('workers exit when their primary is killed', async t => {
  const tracker = await startTracker(t, { frontend: { workers: 2 } })
  const pids = workerPids(tracker)
  t.equal(pids.length, 2)
  t.equal(await tracker.stop('SIGKILL'), 'SIGKILL')
  await allExited(pids)
})

t.test('an idle connection does not delay the stop, and no socket file remains', async t => {
  const folder = testFolder(t)
  setEnvironment(t, 'RUNTIME_DIRECTORY', folder)
  const tracker = await startTracker(t, { frontend: { workers: 1 } })
  t.not(readdirSync(folder).length, 0, 'there was one')
  const idle = await RawConnection.open(tracker.port('http', '127.0.0.1'))
  t.equal((await idle.get(announceTarget(1, 1)))?.status, 200)
  t.equal(await tracker.stop(), 0)
  await idle.ended()
  t.same(readdirSync(folder), [])
})
