import {
  FrontendCounter,
  type FrontendCounters,
  Protocol,
  readFailure,
  readFrontend,
} from '../counters/frontend.ts'
import { COUNT_BOUNDS, SECONDS_BOUNDS } from '../counters/histogram.ts'
import { frameRecords, LinkCounter, type LinkCounters, waitSeconds } from '../counters/link.ts'
import { GC_KINDS } from '../counters/process-report.ts'
import type { Processes, ProcessState } from '../counters/processes.ts'
import { FAMILY_LABELS, type Samples, snakeCase } from '../metrics/samples.ts'
import { Failure } from '../protocol/failures.ts'

const PROTOCOLS = [
  ['http', Protocol.http],
  ['websocket', Protocol.websocket],
] as const

/** Adds the counts of all processes that serve clients. `now` is on the clock of `processes`. */
export function collectServers(samples: Samples, processes: Processes, now: number): void {
  const { frontends, link } = processes.counts()
  collectRequests(samples, frontends)
  collectWebsockets(samples, frontends)
  collectFailures(samples, frontends)
  collectLink(samples, link)
  collectProcesses(samples, processes, now)
}

function collectRequests(samples: Samples, frontends: FrontendCounters): void {
  for (const [family, f] of FAMILY_LABELS) {
    for (const [proto, p] of PROTOCOLS) {
      const of = (counter: FrontendCounter) => readFrontend(frontends, p, f, counter)
      const labels = { proto, family }
      samples.add('muster_announces_total', of(FrontendCounter.announce), labels)
      samples.add('muster_scrapes_total', of(FrontendCounter.scrape), labels)
      for (const [reason, counter] of [
        ['not_found', FrontendCounter.notFound],
        ['refused', FrontendCounter.refused],
      ] as const) {
        samples.add('muster_refused_requests_total', of(counter), { ...labels, reason })
      }
    }
    const api = readFrontend(frontends, Protocol.http, f, FrontendCounter.api)
    samples.add('muster_api_requests_total', api, { family })
  }
  for (const [limit, counter] of [
    ['connections_per_address', FrontendCounter.overAddress],
    ['max_connections', FrontendCounter.overListener],
  ] as const) {
    const closed = FAMILY_LABELS.map(([, f]) => readFrontend(frontends, Protocol.http, f, counter))
    const sum = closed.reduce((total, count) => total + count)
    samples.add('muster_limited_connections_total', sum, { limit })
  }
}

function collectWebsockets(samples: Samples, frontends: FrontendCounters): void {
  for (const [family, f] of FAMILY_LABELS) {
    for (const [name, counter] of [
      ['muster_websocket_connections_total', FrontendCounter.connection],
      ['muster_websocket_relayed_total', FrontendCounter.relayed],
      ['muster_websocket_dropped_total', FrontendCounter.dropped],
    ] as const) {
      samples.add(name, readFrontend(frontends, Protocol.websocket, f, counter), { family })
    }
  }
}

function collectFailures(samples: Samples, frontends: FrontendCounters): void {
  for (const [name, code] of Object.entries(Failure)) {
    if (code === Failure.none) continue
    const reason = snakeCase(name)
    for (const [proto, p] of PROTOCOLS) {
      for (const [family, f] of FAMILY_LABELS) {
        const count = readFailure(frontends, p, f, code)
        samples.add('muster_failures_total', count, { proto, family, reason })
      }
    }
  }
}

function collectLink(samples: Samples, link: LinkCounters): void {
  samples.addHistogram('muster_link_wait_seconds', waitSeconds(link), SECONDS_BOUNDS)
  samples.addHistogram('muster_link_frame_records', frameRecords(link), COUNT_BOUNDS)
  samples.add('muster_link_failed_total', link[LinkCounter.failed] as number)
}

function collectProcesses(samples: Samples, processes: Processes, now: number): void {
  const { all, restarts } = processes
  samples.add('muster_workers', all.filter(({ number }) => number > 0).length)
  samples.add('muster_worker_restarts_total', restarts)
  // While a worker replaces another of the same number, the newer one counts.
  const latest = new Map(all.map(state => [state.number, state]))
  for (const state of latest.values()) collectProcess(samples, state, now)
}

function collectProcess(samples: Samples, state: ProcessState, now: number): void {
  const { lastReport, number, report } = state
  const labels = { process: number === 0 ? 'primary' : `worker-${number}` }
  samples.add('muster_process_report_age_seconds', (now - lastReport) / 1000, labels)
  if (!report) return
  samples.add('muster_process_cpu_seconds_total', report.cpuSeconds, labels)
  samples.add('muster_process_resident_memory_bytes', report.residentBytes, labels)
  samples.add('muster_process_heap_bytes', report.heapBytes, { ...labels, state: 'total' })
  samples.add('muster_process_heap_bytes', report.heapUsedBytes, { ...labels, state: 'used' })
  if (report.connections !== undefined) {
    samples.add('muster_process_connections', report.connections, labels)
  }
  for (const kind of GC_KINDS) {
    const [runs, seconds] = report.gc[kind]
    samples.add('muster_process_gc_runs_total', runs, { ...labels, kind })
    samples.add('muster_process_gc_seconds_total', seconds, { ...labels, kind })
  }
  samples.add('muster_event_loop_busy_seconds_total', report.loopSeconds, labels)
  samples.addHistogram('muster_event_loop_lag_seconds', report.lags, SECONDS_BOUNDS, labels)
}
