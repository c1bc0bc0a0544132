import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

function fields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may contain spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** Returns a process and its descendants. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      parents.set(Number(name), Number(fields(Number(name))[1]))
    } catch {
      // The process ended meanwhile.
    }
  }
  const tree = [root]
  for (const pid of tree)
    for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

function cpuTicks(pid: number): number {
  const stat = fields(pid)
  return Number(stat[11]) + Number(stat[12])
}

/**
 * Starts to count the processor time of processes. The returned function reports the microseconds
 * of each since then, at least one clock tick.
 */
export function countCpu(pids: readonly number[]): () => number[] {
  const before = pids.map(cpuTicks)
  return () =>
    pids.map((pid, n) => (Math.max(1, cpuTicks(pid) - (before[n] ?? 0)) / TICKS_PER_SECOND) * 1e6)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Proportional set size in MiB, which counts shared memory once. */
export function memoryMib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [, kib] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    return sum + Number(kib) / 1024
  }, 0)
}

/** Nanoseconds of this process's processor time, in all threads, per operation. */
export function nanosEach(count: number, work: () => void): number {
  const begun = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(begun)
  return ((user + system) * 1000) / count
}

/** The quantile of `share`, from 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 ? high : (high + (sorted[middle - 1] ?? high)) / 2
}

/** The spread of runs: half the range, as a share of the median. */
export function spread(values: readonly number[]): number {
  if (values.length < 2) return 0
  const middle = median(values)
  return middle === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(middle)
}
