import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

function fields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** This process and all below it. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      parents.set(Number(name), Number(fields(Number(name))[1]))
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [root]
  for (const pid of tree)
    for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

/** Seconds of processor time, user and kernel, that these processes have used. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = fields(pid)
    return sum + (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND
  }, 0)
}

/** MiB of memory in proportional shares, so that what processes share counts once. */
export function memoryMib(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [, kib] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
    return sum + Number(kib) / 1024
  }, 0)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 ? high : (high + (sorted[middle - 1] ?? high)) / 2
}
