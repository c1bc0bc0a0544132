import { parseArgs } from 'node:util'
import { guard } from './guard.ts'
import { comparison } from './report/compare.ts'
import { drawLoadCurve, fillDocs, LOAD_CURVE, PERFORMANCE, README } from './report/docs.ts'
import { mergeResults, readResults } from './report/results.ts'
import { targetTable } from './report/targets.ts'
import { runScenarios } from './run.ts'
import { PLANS, type Plan, type Scenario, type Size } from './scenario.ts'
import { SCENARIOS, scenarioNamed } from './suite.ts'

const HELP = `Usage: npm run bench -- [SCENARIO...] [options]
       npm run bench -- targets [FILE]       prints the targets and the measured values
       npm run bench -- compare BEFORE AFTER prints the changes between two files of results, and marks those beyond noise
       npm run bench -- docs [FILE...]       writes the tables of ${README} and ${PERFORMANCE}, and draws ${LOAD_CURVE}
       npm run bench -- guard                exits with status 1 if the hot path became slower; takes a few minutes

Without a scenario, the whole suite runs and the targets are printed. Results are printed as
Markdown and stored in bench/results. FILE is a file in that folder; by default, the last run of
several scenarios. With several files, docs writes the last result of each scenario.

Scenarios:
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

Options:
  --quick        fewer and shorter runs, smaller swarms; takes about 5 minutes
  --smoke        one short run of each, to check that everything works
  --runs N       rounds; each measures every subject in turn (${PLANS.full.runs})
  --seconds N    seconds of one measurement (${PLANS.full.seconds})
  --memory SIZE  attack: engine.memory of the tracker (64 MiB, and 2 GiB if --seconds is 10 or more)
  --bound N      guard: maximum of the measured ratio, as a multiple of the expected one (1.25)
  --record       guard: store the measured ratios as the expected ones in bench/guard.json
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
    if (!before || !after) return misused('compare needs two files')
    print(comparison(readResults(before), readResults(after)))
    return 0
  },
  docs([file, ...more]) {
    const runs = [readResults(file), ...more.map(name => readResults(name))] as const
    const results = mergeResults(runs)
    fillDocs(runs)
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
  print(['', `stored in ${file}`])
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
