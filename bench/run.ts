import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { keepResults, machine, provenance, type Results } from './report/results.ts'
import { resultTable } from './report/table.ts'
import type { Plan, Result, Scenario } from './scenario.ts'

/** Time from SIGTERM, which makes a scenario stop what it started, to SIGKILL. */
const END_MILLIS_MAX = 5000

/**
 * Runs each scenario in its own process with a time limit, so that scenarios do not share memory or
 * compiled code. Prints each table, stores the numbers, and returns the failures too.
 */
export async function runScenarios(
  scenarios: readonly Scenario[],
  plan: Plan,
): Promise<{ readonly results: Results; readonly file: string }> {
  let results: Results = {
    on: machine(),
    begun: new Date().toISOString(),
    plan,
    scenarios: {},
    failures: {},
  }
  process.stdout.write(`${provenance(results)}\n\n`)
  let file = ''
  for (const scenario of scenarios) {
    const begun = performance.now()
    const outcome = await runApart(scenario, plan)
    const seconds = ((performance.now() - begun) / 1000).toFixed(1)
    if (typeof outcome === 'string') {
      process.stderr.write(`${scenario.name} failed after ${seconds} s: ${outcome}\n\n`)
      results = { ...results, failures: { ...results.failures, [scenario.name]: outcome } }
    } else {
      process.stdout.write(`${resultTable(outcome).join('\n')}(${scenario.name}, ${seconds} s)\n\n`)
      results = { ...results, scenarios: { ...results.scenarios, [scenario.name]: outcome } }
    }
    file = keepResults(results)
  }
  return { results, file }
}

/** The result, or the reason of a failure. */
function runApart({ name, secondsMax }: Scenario, plan: Plan): Promise<Result | string> {
  const file = fileURLToPath(new URL('./run-one.js', import.meta.url))
  const child = fork(file, [name, JSON.stringify(plan)])
  const end = () => child.kill('SIGTERM')
  process.once('exit', end)
  return new Promise(resolve => {
    let outcome: Result | string = 'it ended without a result'
    let patience: NodeJS.Timeout | undefined
    const late = setTimeout(() => {
      outcome = `it took more than ${secondsMax} s`
      end()
      patience = setTimeout(() => child.kill('SIGKILL'), END_MILLIS_MAX)
    }, secondsMax * 1000)
    child.on('message', (message: Result | string) => {
      outcome = message
    })
    child.once('exit', () => {
      clearTimeout(late)
      clearTimeout(patience)
      process.off('exit', end)
      resolve(outcome)
    })
  })
}
