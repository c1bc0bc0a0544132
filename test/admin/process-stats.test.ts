import t from 'tap'
import { createProcessNumbers } from '../../src/admin/process-stats.ts'
import { createProcesses } from '../../src/counters/processes.ts'
import { processReport } from '../app/fixtures/process-report.ts'

const report = (cpuSeconds: number, lagSeconds = 0) => processReport({ cpuSeconds, lagSeconds })

t.test('processor time is a share of the time that passed', async t => {
  const clock = { now: 0 }
  const processes = createProcesses(() => clock.now)
  const numbers = createProcessNumbers(processes)
  processes.started(0, 10)
  processes.started(1, 11)
  t.same(numbers(), [], 'no process has reported yet')
  clock.now = 1000
  processes.reported(10, report(0.5))
  t.same(numbers(), [{ name: 'primary', pid: 10, cpu: 0.5, lag: 0, resident: 1000 }])
  clock.now = 3000
  processes.reported(10, report(2.5))
  processes.reported(11, report(0.75, 0.25))
  const expected = [
    { name: 'primary', pid: 10, cpu: 1, lag: 0, resident: 1000 },
    { name: 'worker 1', pid: 11, cpu: 0.25, lag: 250, resident: 1000 },
  ]
  t.match(numbers(), expected)
  clock.now = 3500
  t.match(numbers(), expected, 'the same until there is another report')
  processes.exited(11)
  processes.started(1, 12)
  clock.now = 4000
  processes.reported(12, report(0.5))
  t.match(numbers()[1], { name: 'worker 1', pid: 12, cpu: 1 }, 'one that replaces it begins anew')
})
