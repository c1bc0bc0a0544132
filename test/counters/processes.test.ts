import t from 'tap'
import {
  countFrontend,
  createFrontendCounters,
  FrontendCounter,
  Protocol,
  readFrontend,
} from '../../src/counters/frontend.ts'
import { countLink, createLinkCounters, LinkCounter } from '../../src/counters/link.ts'
import type { ProcessReport } from '../../src/counters/process-report.ts'
import { createProcesses } from '../../src/counters/processes.ts'
import { Family } from '../../src/protocol/records.ts'
import { processReport } from '../app/fixtures/process-report.ts'

function reportOf(announces: number): ProcessReport {
  const frontends = createFrontendCounters()
  for (let n = 0; n < announces; n++)
    countFrontend(frontends, Protocol.http, Family.ipv4, FrontendCounter.announce)
  const link = createLinkCounters()
  countLink(link, LinkCounter.records, announces)
  return processReport({ frontends, link, cpuSeconds: 1 })
}

t.test('the counts of a dead worker stay in the sums, once', async t => {
  const processes = createProcesses(() => 0)
  const announces = () =>
    readFrontend(processes.counts().frontends, Protocol.http, Family.ipv4, FrontendCounter.announce)
  processes.started(1, 101)
  processes.started(2, 102)
  t.equal(announces(), 0)
  processes.reported(101, reportOf(5))
  processes.reported(102, reportOf(3))
  processes.reported(101, reportOf(7))
  t.equal(announces(), 10)
  processes.exited(101)
  processes.exited(101)
  processes.reported(101, reportOf(100))
  t.equal(announces(), 10, 'a dead process says nothing more')
  processes.started(1, 103)
  t.equal(announces(), 10)
  processes.reported(103, reportOf(1))
  t.equal(announces(), 11)
  t.equal(processes.counts().link[LinkCounter.records], 11)
})

t.test('each process has the time of its last report, by number', async t => {
  let now = 1000
  const processes = createProcesses(() => now)
  processes.started(2, 102)
  processes.started(0, 100)
  now = 2500
  processes.reported(102, reportOf(1))
  t.match(processes.all, [
    { number: 0, pid: 100, started: 1000, lastReport: 1000, report: undefined },
    {
      number: 2,
      pid: 102,
      started: 1000,
      lastReport: 2500,
      report: { cpuSeconds: 1 },
    },
  ])
  processes.started(2, 104)
  processes.exited(102)
  t.match(processes.all, [{ pid: 100 }, { number: 2, pid: 104, started: 2500 }])
})

t.test('a process that died is counted, one that was replaced is not', async t => {
  const processes = createProcesses(() => 0)
  processes.started(1, 101)
  processes.started(1, 102)
  t.equal(processes.restarts, 0)
  processes.died()
  t.equal(processes.restarts, 1)
})
