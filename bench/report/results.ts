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

/** The results of one run of the suite, as stored in a file. */
export type Results = {
  readonly on: Machine
  /** ISO 8601. */
  readonly begun: string
  readonly plan: Plan
  readonly scenarios: Readonly<Record<string, Result>>
  /** Failed scenarios with their reasons. */
  readonly failures: Readonly<Record<string, string>>
}

const FOLDER = 'bench/results'

export function machine(): Machine {
  const processors = cpus()
  let commit = 'unknown'
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    // An installed package does not have a repository.
  }
  return {
    cpu: `${processors.length} × ${processors[0]?.model.trim()}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit,
  }
}

/** A line that describes the machine and the run. */
export function provenance({ on, begun, plan }: Results): string {
  return (
    `${on.cpu}, ${on.memoryGib} GiB, Linux ${on.kernel}, Node ${on.node}, commit ${on.commit}, ` +
    `${begun.slice(0, 10)}; ${plan.runs} runs of ${plan.seconds} s (${plan.size})`
  )
}

/** The results of several runs as those of one: of each scenario the last. */
export function mergeResults(runs: readonly [Results, ...Results[]]): Results {
  const scenarios: Record<string, Result> = Object.assign({}, ...runs.map(run => run.scenarios))
  return { ...runs[0], scenarios, failures: {} }
}

/** Describes the runs that `names` of the merged results are from, in Markdown. */
export function provenanceLines(
  runs: readonly [Results, ...Results[]],
  names = Object.keys(mergeResults(runs).scenarios),
): string[] {
  const { scenarios } = mergeResults(runs)
  const sources = runs
    .map(run => ({ run, from: names.filter(name => run.scenarios[name] === scenarios[name]) }))
    .filter(({ from }) => from.length > 0)
  const [first, ...others] = sources
  if (first && others.length === 0) return [`${provenance(first.run)}.`]
  return sources.map(({ run, from }) => {
    const scenariosOf = from.map(name => `\`${name}\``).join(', ')
    return `- ${scenariosOf}: ${provenance(run)}.`
  })
}

/** Writes results to bench/results and returns the path. Called after each scenario. */
export function keepResults(results: Results): string {
  mkdirSync(FOLDER, { recursive: true })
  const names = Object.keys(results.scenarios)
  const what = names.length === 1 ? names[0] : 'suite'
  const file = join(FOLDER, `${results.begun.replace(/[:.]/g, '-')}-${results.plan.size}.json`)
  writeFileSync(file, `${JSON.stringify({ what, ...results }, null, 2)}\n`)
  return file
}

/** Reads `file`, or the results of the last whole run. Throws an Error with a readable message. */
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
    // There is no run yet.
  }
  for (const name of names.sort().reverse()) {
    const file = join(FOLDER, name)
    const { what } = JSON.parse(readFileSync(file, 'utf8')) as { what?: string }
    if (what === 'suite') return file
  }
  throw new Error(`${FOLDER} has no results of the whole suite: run npm run bench`)
}
