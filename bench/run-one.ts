import type { Plan } from './scenario.ts'
import { scenarioNamed } from './suite.ts'

/** Runs one scenario and sends its result or failure to the parent process. */
const [name = '', plan = '{}'] = process.argv.slice(2)
process.once('disconnect', () => process.exit(1))
try {
  process.send?.(await scenarioNamed(name)?.run(JSON.parse(plan) as Plan), () => process.exit(0))
} catch (error) {
  process.send?.((error as Error).stack ?? String(error), () => process.exit(1))
}
