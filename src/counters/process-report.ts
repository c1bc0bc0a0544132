import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { FrontendCounters } from './frontend.ts'
import { type Histogram, histogramLength, observe, SECONDS_BOUNDS } from './histogram.ts'
import type { LinkCounters } from './link.ts'

/** Report of a process, once a second: its counters and its resources. It can be cloned. */
export type ProcessReport = {
  readonly frontends: FrontendCounters
  readonly link: LinkCounters
  /** Open connections of clients; undefined where they are not counted. */
  readonly connections: number | undefined
  /** Processor time of all threads. */
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly heapBytes: number
  readonly heapUsedBytes: number
  /** Seconds in which the event loop was busy. */
  readonly loopSeconds: number
  /** Garbage collections and their duration in seconds, by kind. */
  readonly gc: Readonly<Record<GcKind, readonly [runs: number, seconds: number]>>
  /**
   * Longest delay of a timer since the last report, in seconds: other work held up the event loop.
   */
  readonly lagSeconds: number
  /** The delays of all reports so far. */
  readonly lags: Histogram
}

export const GC_KINDS = ['minor', 'major', 'incremental', 'weak'] as const
export type GcKind = (typeof GC_KINDS)[number]

export type Reporting = {
  /** Sends a report immediately. */
  report(): void
  /** Sends the last report. */
  stop(): void
}

const REPORT_MILLIS = 1000
/**
 * Interval of the timer whose delay is measured. `monitorEventLoopDelay` misses a delay that
 * follows its reset.
 */
const LAG_MILLIS = 20

/** Reports to `send` every second, and when `report` is called. */
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

/** Undefined if the process cannot open another file: the kernel provides the values in one. */
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

/** Counts the garbage collections of this thread. */
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
