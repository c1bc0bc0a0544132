import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Plan, Result } from '../scenario.ts'

export type Machine = {
  readonly cpu: string
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly commit: string
}

/** What one call of the suite measured, as it lies in a file. */
export type Results = {
  readonly on: Machine
  /** ISO 8601. */
  readonly begun: string
  readonly plan: Plan
  readonly scenarios: Readonly<Record<string, Result>>
  /** Scenarios that gave no result, and why. */
  readonly failures: Readonly<Record<string, string>>
}

const FOLDER = 'bench/results'

export function machine(): Machine {
  const processors = cpus()
  let commit = 'unknown'
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    // A package without its repository.
  }
  return {
    cpu: `${processors.length} × ${processors[0]?.model.trim()}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit,
  }
}

/** The line that says where and how numbers came about. */
export function provenance({ on, begun, plan }: Results): string {
  return (
    `${on.cpu}, ${on.memoryGib} GiB, Linux ${on.kernel}, Node ${on.node}, commit ${on.commit}, ` +
    `${begun.slice(0, 10)}; ${plan.runs} runs of ${plan.seconds} s (${plan.size})`
  )
}

/** Writes them to bench/results and returns the path. Called after each scenario: what is measured is kept, whatever comes after. */
export function keepResults(results: Results): string {
  mkdirSync(FOLDER, { recursive: true })
  const names = Object.keys(results.scenarios)
  const what = names.length === 1 ? names[0] : 'suite'
  const file = join(FOLDER, `${results.begun.replace(/[:.]/g, '-')}-${results.plan.size}.json`)
  writeFileSync(file, `${JSON.stringify({ what, ...results }, null, 2)}\n`)
  return file
}

/** The results in `file`, or of the last run of the whole suite. Throws an Error for the person who asked. */
export function readResults(file = lastSuite()): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results
  } catch (error) {
    throw new Error(`no results in ${file}: ${(error as Error).message}`)
  }
}

function lastSuite(): string {
  let names: string[] = []
  try {
    names = readdirSync(FOLDER).filter(name => name.endsWith('.json'))
  } catch {
    // No run yet.
  }
  for (const name of names.sort().reverse()) {
    const file = join(FOLDER, name)
    const { what } = JSON.parse(readFileSync(file, 'utf8')) as { what?: string }
    if (what === 'suite') return file
  }
  throw new Error(`${FOLDER} has no results of the whole suite: run npm run bench`)
}
