import { createFrontendCounters, type FrontendCounters } from './frontend.ts'
import { addCounts } from './histogram.ts'
import { createLinkCounters, type LinkCounters } from './link.ts'
import type { ProcessReport } from './process-report.ts'

/** State of a process by its last report. */
export type ProcessState = {
  /** 0 for the primary, 1 and up for the workers. A worker that replaces another has its number. */
  readonly number: number
  readonly pid: number
  /** Start and last report, on the clock of `performance.now()`; equal until the first report. */
  readonly started: number
  readonly lastReport: number
  /** Undefined until the first report. */
  readonly report: ProcessReport | undefined
}

/** All processes that serve clients, and the sums of their counters. */
export type Processes = {
  /** Running processes by number. */
  readonly all: readonly ProcessState[]
  /**
   * Sums of running and dead processes. Counts of a worker after its last report are lost with it.
   */
  counts(): { readonly frontends: FrontendCounters; readonly link: LinkCounters }
  /**
   * Workers that ended unexpectedly and were restarted; those that a reload replaced do not count.
   */
  readonly restarts: number
  died(): void
  started(number: number, pid: number): void
  reported(pid: number, report: ProcessReport): void
  exited(pid: number): void
}

export function createProcesses(now: () => number): Processes {
  const states = new Map<number, ProcessState>()
  let restarts = 0
  const dead = { frontends: createFrontendCounters(), link: createLinkCounters() }
  return {
    get all() {
      return [...states.values()].sort((a, b) => a.number - b.number)
    },
    died() {
      restarts++
    },
    get restarts() {
      return restarts
    },
    counts() {
      const frontends = dead.frontends.slice()
      const link = dead.link.slice()
      for (const { report } of states.values()) {
        if (!report) continue
        addCounts(frontends, report.frontends)
        addCounts(link, report.link)
      }
      return { frontends, link }
    },
    started(number, pid) {
      const started = now()
      states.set(pid, { number, pid, started, lastReport: started, report: undefined })
    },
    reported(pid, report) {
      const state = states.get(pid)
      if (state) states.set(pid, { ...state, lastReport: now(), report })
    },
    exited(pid) {
      const report = states.get(pid)?.report
      states.delete(pid)
      if (!report) return
      addCounts(dead.frontends, report.frontends)
      addCounts(dead.link, report.link)
    },
  }
}
