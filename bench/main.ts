import { parseArgs } from 'node:util'
import { guard } from './guard.ts'
import { comparison } from './report/compare.ts'
import { drawLoadCurve, fillDocs, LOAD_CURVE, PERFORMANCE, README } from './report/docs.ts'
import { readResults } from './report/results.ts'
import { targetTable } from './report/targets.ts'
import { runScenarios } from './run.ts'
import { PLANS, type Plan, type Scenario, type Size } from './scenario.ts'
import { SCENARIOS, scenarioNamed } from './suite.ts'

const HELP = `Usage: npm run bench -- [SCENARIO...] [options]
       npm run bench -- targets [FILE]       the table of targets: measured, met or not
       npm run bench -- compare BEFORE AFTER what changed between two files of results, and what is beyond noise
       npm run bench -- docs [FILE]          fills the tables of ${README} and ${PERFORMANCE}, draws ${LOAD_CURVE}
       npm run bench -- guard                a few minutes; exit status 1 when the hot path became slower

Without a scenario the whole suite runs and the targets are printed. Results are printed as Markdown, and kept in bench/results, which
is where FILE is looked for: without one, the last run of several scenarios.

Scenarios:
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

Options:
  --quick        fewer and shorter runs, smaller swarms: some minutes
  --smoke        one short run of each, to see that everything works
  --runs N       rounds, each with every subject in turn (${PLANS.full.runs})
  --seconds N    length of one measurement (${PLANS.full.seconds})
  --memory SIZE  attack: engine.memory of the tracker (64 MiB, and 2 GiB if --seconds is 10 or more)
  --bound N      guard: how many times the expected ratio is too much (1.25)
  --record       guard: keep what is measured as what is expected, in bench/guard.json
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    memory: { type: 'string' },
    bound: { type: 'string', default: '1.25' },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function planOf(): Plan {
  const size: Size = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'
  return {
    size,
    runs: Number(values.runs ?? PLANS[size].runs),
    seconds: Number(values.seconds ?? PLANS[size].seconds),
    ...(values.memory && { memory: values.memory }),
  }
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Commands on existing results. Each returns the exit status. */
const REPORTS: Readonly<Record<string, (files: readonly string[]) => number>> = {
  targets([file]) {
    print(targetTable(readResults(file)).lines)
    return 0
  },
  compare([before, after]) {
    if (!before || !after) return misused('compare wants two files')
    print(comparison(readResults(before), readResults(after)))
    return 0
  },
  docs([file]) {
    const results = readResults(file)
    fillDocs(results)
    print([
      `filled ${README} and ${PERFORMANCE}`,
      ...(drawLoadCurve(results) ? [`drew ${LOAD_CURVE}`] : []),
    ])
    return 0
  },
}

function misused(why: string): number {
  process.stderr.write(`${why}\n\n${HELP}`)
  return 64
}

async function runChosen(names: readonly string[]): Promise<number> {
  const chosen: Scenario[] = []
  for (const name of names) {
    const scenario = scenarioNamed(name)
    if (!scenario) return misused(`unknown scenario ${name}`)
    chosen.push(scenario)
  }
  const plan = planOf()
  const { results, file } = await runScenarios(chosen.length > 0 ? chosen : SCENARIOS, plan)
  if (chosen.length === 0) print(targetTable(results).lines)
  if (names.includes('load-curve') && plan.size !== 'smoke' && drawLoadCurve(results))
    print([`drew ${LOAD_CURVE}`])
  print(['', `kept in ${file}`])
  return Object.keys(results.failures).length > 0 ? 1 : 0
}

async function main(): Promise<number> {
  const [first = '', ...rest] = positionals
  if (values.help) {
    print([HELP])
    return 0
  }
  if (first === 'guard') {
    return guard(planOf(), { bound: Number(values.bound), record: values.record })
  }
  try {
    return REPORTS[first]?.(rest) ?? (await runChosen(positionals))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  }
}

process.exitCode = await main()
