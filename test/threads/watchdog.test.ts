import t, { type Test } from 'tap'
import { startWatchdog } from '../../src/threads/watchdog.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

/**
 * With a short watchdog timeout of systemd, polls follow each other quickly; a stall is then a
 * thousand of them.
 */
const WATCHDOG_MILLIS = 20

function begin(t: Test) {
  const told: string[] = []
  let rounds = 0
  const watchdog = startWatchdog({
    manager: {
      watchdogMillis: WATCHDOG_MILLIS,
      ready: status => told.push(`ready ${status}`),
      reloading: () => told.push('reloading'),
      stopping: () => told.push('stopping'),
      status: text => told.push(`status ${text}`),
      alive: () => told.push('alive'),
    },
    threads: [
      { name: 'engine-0', rounds: () => ++rounds },
      { name: 'udp-0', rounds: () => ++rounds },
    ],
    status: () => `${rounds} rounds`,
    log: createTestLog().log,
  })
  t.teardown(() => watchdog.stop())
  return { told, watchdog }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}

t.test('ready is reported first, then pings and the status, and stopping last', async t => {
  const { told, watchdog } = begin(t)
  await until(() => told.some(line => line.startsWith('status ')))
  await watchdog.stop()
  t.match(told[0], /^ready \d+ rounds$/)
  t.equal(told[1], 'alive')
  t.ok(told.filter(line => line === 'alive').length > 10)
  t.equal(told.at(-1), 'stopping')
  const { length } = told
  await new Promise(resolve => setTimeout(resolve, 5 * WATCHDOG_MILLIS))
  t.equal(told.length, length, 'and nothing after it')
})
