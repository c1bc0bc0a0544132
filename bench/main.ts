import { parseArgs } from 'node:util'
import { runScenarios } from './run.ts'
import { PLANS, type Plan, type Scenario, type Size } from './scenario.ts'
import { SCENARIOS, scenarioNamed } from './suite.ts'

const HELP = `Usage: npm run bench -- [SCENARIO...] [options]

Without a scenario the whole suite runs. Results are printed as Markdown, and kept in bench/results.

Scenarios:
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

Options:
  --quick        fewer and shorter runs, smaller swarms: some minutes
  --smoke        one short run of each, to see that everything works
  --runs N       rounds, each with every subject in turn (${PLANS.full.runs})
  --seconds N    length of one measurement (${PLANS.full.seconds})
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const size: Size = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'
const plan: Plan = {
  size,
  runs: Number(values.runs ?? PLANS[size].runs),
  seconds: Number(values.seconds ?? PLANS[size].seconds),
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const chosen: Scenario[] = []
  for (const name of positionals) {
    const scenario = scenarioNamed(name)
    if (!scenario) {
      process.stderr.write(`unknown scenario ${name}\n\n${HELP}`)
      return 64
    }
    chosen.push(scenario)
  }
  const { results, file } = await runScenarios(chosen.length > 0 ? chosen : SCENARIOS, plan)
  process.stdout.write(`kept in ${file}\n`)
  return Object.keys(results.failures).length > 0 ? 1 : 0
}

process.exitCode = await main()
