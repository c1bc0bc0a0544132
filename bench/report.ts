import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'

export type Row = {
  readonly name: string
  readonly keepAlive: boolean
  readonly perSecond: number
  /** Microseconds of processor time, of all the tracker's processes, per request. */
  readonly cpuMicros: number
  readonly p50: number
  readonly p99: number
  readonly mib: number
  readonly bodyBytes: number
  readonly generatorBusy: number
  readonly errors: number
}

export type Machine = {
  readonly cpu: string
  readonly kernel: string
  readonly node: string
  readonly commit: string
}

export function machine(): Machine {
  const processors = cpus()
  let commit = 'unknown'
  try {
    commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    // A package without its repository.
  }
  return {
    cpu: `${processors.length} × ${processors[0]?.model.trim()}`,
    kernel: release(),
    node: process.version,
    commit,
  }
}

/** Prints the tables as Markdown and keeps all numbers in bench/results. */
export function writeReport(
  scenario: string,
  options: object,
  on: Machine,
  rows: readonly Row[],
): void {
  const lines = [
    `${on.cpu}, Linux ${on.kernel}, Node ${on.node}, commit ${on.commit}; ${JSON.stringify(options)}`,
    '',
  ]
  for (const keepAlive of [true, false]) {
    const mode = rows.filter(row => row.keepAlive === keepAlive)
    const base = mode.find(({ name }) => name === 'bare uWebSockets.js')
    lines.push(keepAlive ? 'Kept connections:' : 'A connection for each request:', '')
    lines.push(
      '| | requests/s | CPU µs per request | × bare | p50 ms | p99 ms | MiB | errors | generator busy |',
    )
    lines.push('|---|---|---|---|---|---|---|---|---|')
    for (const row of mode) {
      const ratio = base ? (row.cpuMicros / base.cpuMicros).toFixed(2) : ''
      const cells = [
        row.name,
        row.perSecond.toFixed(0),
        row.cpuMicros.toFixed(1),
        ratio,
        row.p50.toFixed(2),
        row.p99.toFixed(2),
        row.mib.toFixed(0),
        String(row.errors),
        `${(row.generatorBusy * 100).toFixed(0)} %`,
      ]
      lines.push(`| ${cells.join(' | ')} |`)
    }
    lines.push('')
  }
  process.stdout.write(`${lines.join('\n')}\n`)
  keepResults(scenario, { on, options, rows })
}

/** Keeps all numbers of a run in bench/results. */
export function keepResults(scenario: string, results: object): void {
  mkdirSync('bench/results', { recursive: true })
  const stamp = new Date().toISOString().replace(/[:.]/g, '-')
  writeFileSync(`bench/results/${scenario}-${stamp}.json`, `${JSON.stringify(results, null, 2)}\n`)
}
