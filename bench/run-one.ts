import type { Plan } from './scenario.ts'
import { scenarioNamed } from './suite.ts'

/** One scenario, whose result or failure goes to the parent process. */
const [name = '', plan = '{}'] = process.argv.slice(2)
process.once('disconnect', () => process.exit(1))
try {
  process.send?.(await scenarioNamed(name)?.run(JSON.parse(plan) as Plan), () => process.exit(0))
} catch (error) {
  process.send?.((error as Error).stack ?? String(error), () => process.exit(1))
}
