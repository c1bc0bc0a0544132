import type { Processes } from '../counters/processes.ts'
import type { ProcessNumbers } from './admin.ts'

type Known = { readonly at: number; readonly cpuSeconds: number; readonly cpu: number }

/**
 * Creates the reader of the processes' last reports. Processor time is between the last two reports
 * that were read.
 */
export function createProcessNumbers(
  processes: Pick<Processes, 'all'>,
): () => readonly ProcessNumbers[] {
  let known = new Map<number, Known>()
  return () => {
    const next = new Map<number, Known>()
    const numbers = processes.all.flatMap(({ number, pid, started, lastReport, report }) => {
      if (!report) return []
      const { cpuSeconds, lagSeconds, residentBytes } = report
      const before = known.get(pid) ?? { at: started, cpuSeconds: 0, cpu: 0 }
      const seconds = (lastReport - before.at) / 1000
      const cpu = seconds > 0 ? (cpuSeconds - before.cpuSeconds) / seconds : before.cpu
      next.set(pid, { at: lastReport, cpuSeconds, cpu })
      const name = number === 0 ? 'primary' : `worker ${number}`
      return { name, pid, cpu, lag: lagSeconds * 1000, resident: residentBytes }
    })
    known = next
    return numbers
  }
}
