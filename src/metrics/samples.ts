import { EngineCounter, frameSeconds } from '../counters/engine.ts'
import {
  FrontendCounter,
  type FrontendCounters,
  Protocol,
  readFailure,
  readFrontend,
} from '../counters/frontend.ts'
import {
  addCounts,
  COUNT_BOUNDS,
  type Histogram,
  histogramLength,
  SECONDS_BOUNDS,
} from '../counters/histogram.ts'
import { frameRecords, LinkCounter, type LinkCounters, waitSeconds } from '../counters/link.ts'
import { GC_KINDS } from '../counters/process-report.ts'
import type { ProcessState } from '../counters/processes.ts'
import { batchSeconds, sumUdpCounters, sumUdpFailures, type UdpCounters } from '../counters/udp.ts'
import { BLOCK_BYTES_BOUNDS } from '../engine/totals.ts'
import { readUdpSockets } from '../native/proc-net-udp.ts'
import { Failure } from '../protocol/failures.ts'
import type { MetricName } from './catalogue.ts'
import type { MetricSources } from './sources.ts'

export type Labels = Readonly<Record<string, string>>
/** One line of a metric; a histogram's tell which of its parts they are. */
export type Sample = {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
}

/** The lines of every metric; one without lines is not there at all, as the database's without a database. */
export type Samples = ReadonlyMap<MetricName, readonly Sample[]>

const FAMILIES = [
  ['ipv4', 0],
  ['ipv6', 1],
] as const
const PEER_FAMILIES = ['ipv4', 'ipv6', 'websocket'] as const
const PROTOCOLS = [
  ['http', Protocol.http],
  ['websocket', Protocol.websocket],
] as const

type Add = (name: MetricName, value: number, labels?: Labels) => void
type AddHistogram = (
  name: MetricName,
  histogram: Histogram,
  bounds: readonly number[],
  labels?: Labels,
) => void

/** Reads every source once. */
export function collectSamples(sources: MetricSources): Samples {
  const samples = new Map<MetricName, Sample[]>()
  const linesOf = (name: MetricName) => {
    const lines = samples.get(name) ?? []
    samples.set(name, lines)
    return lines
  }
  const add: Add = (name, value, labels = {}) => linesOf(name).push({ labels, value })
  const addHistogram: AddHistogram = (name, histogram, bounds, labels = {}) => {
    linesOf(name).push(...histogramSamples(name, histogram, bounds, labels))
  }
  const { frontends, link } = sources.processes.counts()
  add('muster_build_info', 1, { version: sources.version, node: process.version })
  add('muster_start_time_seconds', sources.startedSeconds)
  addRequests(add, frontends, sources.udp())
  addUdp(add, addHistogram, sources)
  addLink(add, addHistogram, link)
  addEngines(add, addHistogram, sources)
  addTables(add, sources)
  addKept(add, sources)
  addProcesses(add, addHistogram, sources)
  return samples
}

function histogramSamples(
  name: string,
  histogram: Histogram,
  bounds: readonly number[],
  labels: Labels,
): Sample[] {
  const samples: Sample[] = []
  let count = 0
  for (const [n, bound] of [...bounds, '+Inf'].entries()) {
    count += histogram[n + 1] as number
    samples.push({ labels: { le: bound, ...labels }, value: count, metricName: `${name}_bucket` })
  }
  samples.push({ labels, value: histogram[0] as number, metricName: `${name}_sum` })
  samples.push({ labels, value: count, metricName: `${name}_count` })
  return samples
}

/** `missing_info_hash` for missingInfoHash. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

function addRequests(
  add: Add,
  frontends: FrontendCounters,
  udpThreads: readonly UdpCounters[],
): void {
  const udp = sumUdpCounters(udpThreads)
  for (const [family, f] of FAMILIES) {
    for (const [proto, p] of PROTOCOLS) {
      const of = (counter: FrontendCounter) => readFrontend(frontends, p, f, counter)
      add('muster_announces_total', of(FrontendCounter.announce), { proto, family })
      add('muster_scrapes_total', of(FrontendCounter.scrape), { proto, family })
      for (const [reason, counter] of [
        ['not_found', FrontendCounter.notFound],
        ['refused', FrontendCounter.refused],
      ] as const) {
        add('muster_refused_requests_total', of(counter), { proto, family, reason })
      }
    }
    add('muster_announces_total', udp.announce[f], { proto: 'udp', family })
    add('muster_scrapes_total', udp.scrape[f], { proto: 'udp', family })
    const api = readFrontend(frontends, Protocol.http, f, FrontendCounter.api)
    add('muster_api_requests_total', api, { family })
    const opened = readFrontend(frontends, Protocol.websocket, f, FrontendCounter.connection)
    add('muster_websocket_connections_total', opened, { family })
    const relayed = readFrontend(frontends, Protocol.websocket, f, FrontendCounter.relayed)
    add('muster_websocket_relayed_total', relayed, { family })
    const dropped = readFrontend(frontends, Protocol.websocket, f, FrontendCounter.dropped)
    add('muster_websocket_dropped_total', dropped, { family })
  }
  for (const [limit, counter] of [
    ['connections_per_address', FrontendCounter.overAddress],
    ['max_connections', FrontendCounter.overListener],
  ] as const) {
    const ofFamilies = FAMILIES.map(([, f]) => readFrontend(frontends, Protocol.http, f, counter))
    const ended = ofFamilies.reduce((sum, count) => sum + count)
    add('muster_limited_connections_total', ended, { limit })
  }
  for (const [name, code] of Object.entries(Failure)) {
    if (code === Failure.none) continue
    const reason = snakeCase(name)
    for (const [proto, p] of PROTOCOLS) {
      const count = readFailure(frontends, p, 0, code) + readFailure(frontends, p, 1, code)
      add('muster_failures_total', count, { proto, reason })
    }
    add('muster_failures_total', sumUdpFailures(udpThreads, code), { proto: 'udp', reason })
  }
}

const UDP_OUTCOMES = [
  'connect',
  'announce',
  'scrape',
  'error',
  'badConnectionId',
  'garbage',
  'truncated',
] as const

function addUdp(add: Add, addHistogram: AddHistogram, { udp, udpPorts }: MetricSources): void {
  const threads = udp()
  const sums = sumUdpCounters(threads)
  const sockets = readUdpSockets(udpPorts())
  for (const [family, f] of FAMILIES) {
    for (const outcome of UDP_OUTCOMES) {
      const labels = { family, outcome: snakeCase(outcome) }
      add('muster_udp_datagrams_total', sums[outcome][f], labels)
    }
    add('muster_udp_received_total', sums.received[f], { family })
    add('muster_udp_sent_total', sums.sent[f], { family })
    add('muster_udp_send_failures_total', sums.sendFailed[f], { family })
    add('muster_udp_receive_failures_total', sums.receiveFailed[f], { family })
    if (!sockets) continue
    add('muster_udp_dropped_total', sockets.dropped[f], { family })
    add('muster_udp_receive_queue_bytes', sockets.queuedBytes[f], { family })
  }
  addHistogram('muster_udp_batch_seconds', sumOf(threads.map(batchSeconds)), SECONDS_BOUNDS)
}

function sumOf(histograms: readonly Histogram[]): Histogram {
  const sum = new Float64Array(histogramLength(SECONDS_BOUNDS))
  for (const histogram of histograms) addCounts(sum, histogram)
  return sum
}

function addLink(add: Add, addHistogram: AddHistogram, link: LinkCounters): void {
  addHistogram('muster_link_wait_seconds', waitSeconds(link), SECONDS_BOUNDS)
  addHistogram('muster_link_frame_records', frameRecords(link), COUNT_BOUNDS)
  add('muster_link_failed_total', link[LinkCounter.failed] as number)
}

function addEngines(add: Add, addHistogram: AddHistogram, sources: MetricSources): void {
  const engines = sources.engines()
  addHistogram('muster_engine_frame_seconds', sumOf(engines.map(frameSeconds)), SECONDS_BOUNDS)
  for (const [n, counters] of engines.entries()) {
    const labels = { thread: `engine-${n}` }
    const of = (counter: EngineCounter) => counters[counter] as number
    add('muster_sweep_busy_seconds_total', of(EngineCounter.sweepBusy), labels)
    add('muster_sweep_pass_seconds', of(EngineCounter.sweepPass), labels)
    add('muster_sweep_pass_timestamp_seconds', of(EngineCounter.sweepEnded), labels)
  }
}

function addTables(add: Add, sources: MetricSources): void {
  const totals = sources.totals()
  add('muster_torrents', totals.torrents)
  for (const [f, family] of PEER_FAMILIES.entries()) {
    add('muster_peers', totals.peers[f] ?? 0, { family })
    add('muster_seeders', totals.seeders[f] ?? 0, { family })
  }
  add('muster_downloads_total', totals.completed)
  for (const reason of ['expired', 'evicted', 'refused'] as const) {
    add('muster_peers_gone_total', totals[reason], { reason })
  }
  for (const [limit, refused] of Object.entries(sources.limited())) {
    add('muster_limited_announces_total', refused, { limit })
  }
  const used = totals.bytesUsed.reduce((sum, bytes) => sum + bytes, 0)
  add('muster_arena_bytes', totals.bytesReserved, { state: 'reserved' })
  add('muster_arena_bytes', totals.bytesTaken, { state: 'taken' })
  add('muster_arena_bytes', used, { state: 'used' })
  for (const [n, bytes] of totals.bytesUsed.entries()) {
    const bound = BLOCK_BYTES_BOUNDS[n]
    const labels = { up_to: bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound) }
    add('muster_arena_class_bytes', bytes, labels)
  }
  for (const [table, entries] of Object.entries(sources.entries())) {
    add('muster_access_entries', entries, { table })
  }
  if (!sources.database()) return
  add('muster_database_waiting', totals.stripesChanged, { what: 'torrents' })
  add('muster_database_waiting', sources.usersWaiting(), { what: 'users' })
}

function addKept(add: Add, sources: MetricSources): void {
  const snapshots = sources.snapshots()
  if (snapshots) add('muster_snapshot_failures_total', snapshots.failures)
  if (snapshots?.lastWrite) {
    const { bytes, createdSeconds, millis } = snapshots.lastWrite
    add('muster_snapshot_seconds', millis / 1000)
    add('muster_snapshot_bytes', bytes)
    add('muster_snapshot_timestamp_seconds', createdSeconds)
  }
  const database = sources.database()
  if (!database) return
  add('muster_database_up', database.healthy ? 1 : 0)
  add('muster_database_writes_total', database.writes)
  add('muster_database_failures_total', database.failures)
  add('muster_database_rows_total', database.rows)
  add('muster_database_busy_seconds_total', database.busySeconds)
  add('muster_database_write_timestamp_seconds', database.writtenSeconds)
}

function addProcesses(add: Add, addHistogram: AddHistogram, sources: MetricSources): void {
  const { all } = sources.processes
  const workers = all.filter(({ number }) => number > 0)
  add('muster_workers', workers.length)
  add('muster_worker_restarts_total', sources.processes.restarts)
  // Of two with one number, while one goes and the other comes, the later counts.
  const latest = new Map(all.map(state => [state.number, state]))
  for (const state of latest.values()) addProcess(add, addHistogram, state, sources.now())
}

function addProcess(add: Add, addHistogram: AddHistogram, state: ProcessState, now: number): void {
  const { lastReport, number, report } = state
  const labels = { process: number === 0 ? 'primary' : `worker-${number}` }
  add('muster_process_report_age_seconds', (now - lastReport) / 1000, labels)
  if (!report) return
  add('muster_process_cpu_seconds_total', report.cpuSeconds, labels)
  add('muster_process_resident_memory_bytes', report.residentBytes, labels)
  add('muster_process_heap_bytes', report.heapBytes, { ...labels, state: 'total' })
  add('muster_process_heap_bytes', report.heapUsedBytes, { ...labels, state: 'used' })
  if (report.connections !== undefined)
    add('muster_process_connections', report.connections, labels)
  for (const kind of GC_KINDS) {
    const [runs, seconds] = report.gc[kind]
    add('muster_process_gc_runs_total', runs, { ...labels, kind })
    add('muster_process_gc_seconds_total', seconds, { ...labels, kind })
  }
  add('muster_event_loop_busy_seconds_total', report.loopSeconds, labels)
  addHistogram('muster_event_loop_lag_seconds', report.lags, SECONDS_BOUNDS, labels)
}
