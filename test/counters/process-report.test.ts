import t from 'tap'
import { createFrontendCounters } from '../../src/counters/frontend.ts'
import { createLinkCounters } from '../../src/counters/link.ts'
import { type ProcessReport, startReporting } from '../../src/counters/process-report.ts'

t.test('a process reports by itself, and how long its event loop was held up', async t => {
  const reports: ProcessReport[] = []
  let next = () => {}
  const reporting = startReporting(
    { frontends: createFrontendCounters(), link: createLinkCounters() },
    report => {
      reports.push(report)
      next()
    },
  )
  const keepAlive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(keepAlive))
  const another = () =>
    new Promise<void>(resolve => {
      next = resolve
    })
  await another()
  const until = performance.now() + 300
  while (performance.now() < until);
  // Counted by the poll after it, which may follow the next report.
  await another()
  await another()
  const count = reports.length
  reporting.stop()
  t.ok(Math.max(...reports.map(({ lagSeconds }) => lagSeconds)) > 0.2)
  t.ok(reports.every(({ cpuSeconds, residentBytes }) => cpuSeconds > 0 && residentBytes > 2 ** 20))
  t.equal(reports.length, count + 1, 'and once more at the end')
})
