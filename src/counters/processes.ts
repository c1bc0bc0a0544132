import { createFrontendCounters, type FrontendCounters } from './frontend.ts'
import { addCounts } from './histogram.ts'
import { createLinkCounters, type LinkCounters } from './link.ts'
import type { ProcessReport } from './process-report.ts'

/** A process as it last told of itself. */
export type ProcessState = {
  /** 0 for the primary, from 1 for the workers. One that replaces another has its number. */
  readonly number: number
  readonly pid: number
  /** When it started and when it last reported, on the clock of `performance.now()`; the same until its first report. */
  readonly started: number
  readonly lastReport: number
  /** Undefined until it first reported. */
  readonly report: ProcessReport | undefined
}

/** All processes with an event loop that answers clients, and what they count together. */
export type Processes = {
  /** Those that live, by number. */
  readonly all: readonly ProcessState[]
  /** Sums of those that live and of those that died: what a worker counted after its last report is lost with it. */
  counts(): { readonly frontends: FrontendCounters; readonly link: LinkCounters }
  /** Workers that ended unasked and were started again; those that a reload replaced are none. */
  readonly restarts: number
  died(): void
  started(number: number, pid: number): void
  reported(pid: number, report: ProcessReport): void
  gone(pid: number): void
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
    gone(pid) {
      const report = states.get(pid)?.report
      states.delete(pid)
      if (!report) return
      addCounts(dead.frontends, report.frontends)
      addCounts(dead.link, report.link)
    },
  }
}
