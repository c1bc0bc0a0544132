import type { FrontendCounters } from '../frontends/counters.ts'
import type { LinkCounters } from '../link/counters.ts'

/** What a process says of itself once a second: its counts so far, and how it fares. It can be cloned. */
export type ProcessReport = {
  readonly frontends: FrontendCounters
  readonly link: LinkCounters
  /** Processor time of all its threads. */
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** The longest that a timer came too late since the last report: what its event loop was busy with otherwise. */
  readonly lagSeconds: number
}

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
): Reporting {
  let lagMillis = 0
  let due = performance.now() + LAG_MILLIS
  const look = setInterval(() => {
    const now = performance.now()
    lagMillis = Math.max(lagMillis, now - due)
    due = now + LAG_MILLIS
  }, LAG_MILLIS)
  const report = () => {
    const { system, user } = process.cpuUsage()
    send({
      ...counters,
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      lagSeconds: lagMillis / 1000,
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
    },
  }
}
