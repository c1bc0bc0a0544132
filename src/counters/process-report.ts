import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { FrontendCounters } from './frontend.ts'
import { type Histogram, histogramLength, observe, SECONDS_BOUNDS } from './histogram.ts'
import type { LinkCounters } from './link.ts'

/** What a process says of itself once a second: its counts so far, and how it fares. It can be cloned. */
export type ProcessReport = {
  readonly frontends: FrontendCounters
  readonly link: LinkCounters
  /** Open connections of clients; undefined where they are not counted. */
  readonly connections: number | undefined
  /** Processor time of all its threads. */
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly heapBytes: number
  readonly heapUsedBytes: number
  /** Seconds in which the event loop was not waiting. */
  readonly loopSeconds: number
  /** Collections of garbage and the seconds that they took, by kind. */
  readonly gc: Readonly<Record<GcKind, readonly [runs: number, seconds: number]>>
  /** The longest that a timer came too late since the last report: what its event loop was busy with otherwise. */
  readonly lagSeconds: number
  /** The same of all reports so far. */
  readonly lags: Histogram
}

export const GC_KINDS = ['minor', 'major', 'incremental', 'weak'] as const
export type GcKind = (typeof GC_KINDS)[number]

export type Reporting = {
  /** Reports at once. */
  report(): void
  /** Reports a last time and no more. */
  stop(): void
}

const REPORT_MILLIS = 1000
/** How often it is looked at how late a timer is. `monitorEventLoopDelay` misses what follows its reset. */
const LAG_MILLIS = 20

/** Tells `send` how this process fares, every second and when asked. */
export function startReporting(
  counters: { readonly frontends: FrontendCounters; readonly link: LinkCounters },
  send: (report: ProcessReport) => void,
  connections: () => number | undefined = () => undefined,
): Reporting {
  let lagMillis = 0
  let due = performance.now() + LAG_MILLIS
  const look = setInterval(() => {
    const now = performance.now()
    lagMillis = Math.max(lagMillis, now - due)
    due = now + LAG_MILLIS
  }, LAG_MILLIS)
  const lags: Histogram = new Float64Array(histogramLength(SECONDS_BOUNDS))
  const collections = watchCollections()
  let memory = process.memoryUsage()
  const report = () => {
    const { system, user } = process.cpuUsage()
    memory = memoryUsage() ?? memory
    const { heapTotal, heapUsed, rss } = memory
    observe(lags, SECONDS_BOUNDS, lagMillis / 1000)
    send({
      ...counters,
      connections: connections(),
      cpuSeconds: (user + system) / 1e6,
      residentBytes: rss,
      heapBytes: heapTotal,
      heapUsedBytes: heapUsed,
      loopSeconds: performance.eventLoopUtilization().active / 1000,
      gc: collections.gc,
      lagSeconds: lagMillis / 1000,
      lags,
    })
    lagMillis = 0
  }
  const timer = setInterval(report, REPORT_MILLIS)
  timer.unref()
  look.unref()
  return {
    report,
    stop() {
      clearInterval(timer)
      clearInterval(look)
      report()
      collections.stop()
    },
  }
}

/** Undefined where the process may open no more files: the kernel tells it in one. */
function memoryUsage(): NodeJS.MemoryUsage | undefined {
  try {
    return process.memoryUsage()
  } catch {
    return undefined
  }
}

const GC_KIND_OF: Readonly<Record<number, GcKind>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak',
}

/** Counts this thread's collections of garbage. */
function watchCollections() {
  const gc: Record<GcKind, [runs: number, seconds: number]> = {
    minor: [0, 0],
    major: [0, 0],
    incremental: [0, 0],
    weak: [0, 0],
  }
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { detail, duration } = entry as PerformanceEntry & { readonly detail: { kind: number } }
      const kind = GC_KIND_OF[detail.kind]
      if (!kind) continue
      gc[kind][0]++
      gc[kind][1] += duration / 1000
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  return { gc, stop: () => observer.disconnect() }
}
