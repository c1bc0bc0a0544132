import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Results } from '../../bench/report/results.ts'
import type { Result } from '../../bench/scenario.ts'
import { SCENARIOS } from '../../bench/suite.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
/** Concurrent suites: a smoke run mostly waits for programs to start. */
const SUITES = 4

/** Runs the bench in a temporary folder and resolves with its output. */
async function bench(folder: string, words: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...words], { cwd: folder })
  return stdout
}

function resultsIn(folder: string): Readonly<Record<string, Result>> {
  const path = join(folder, 'bench/results')
  const results = readdirSync(path).map(
    file => JSON.parse(readFileSync(join(path, file), 'utf8')) as Results,
  )
  return Object.assign({}, ...results.map(({ scenarios }) => scenarios))
}

t.test('every scenario runs and measures without errors of a tracker', async t => {
  const names = SCENARIOS.map(({ name }) => name)
  const suites = Array.from({ length: SUITES }, (_, n) => `suite-${n}`)
  const folder = t.testdir(Object.fromEntries(suites.map(name => [name, {}])))
  await Promise.all(
    suites.map((suite, n) => {
      const share = names.filter((_, index) => index % SUITES === n)
      return bench(join(folder, suite), [...share, '--smoke'])
    }),
  )
  const results = Object.assign({}, ...suites.map(suite => resultsIn(join(folder, suite))))
  t.same(Object.keys(results).sort(), [...names].sort())
  for (const [name, { notes, rows }] of Object.entries(results as Record<string, Result>)) {
    // A scenario without its generator says so.
    t.ok(rows.length > 0 || notes.some(note => note.startsWith('Left out')), name)
    for (const row of rows) {
      const numbers = row.runs.flatMap(run => Object.values(run))
      // A short run on a busy machine may not have any answers for a quantile.
      t.ok(numbers.some(Number.isFinite), `${name}: ${row.name}`)
      t.notOk(
        row.runs.some(run => (run['errors'] ?? 0) > 0),
        `${name}: ${row.name} without errors`,
      )
    }
  }
})

t.test('reports an unknown scenario by name', async t => {
  const failed = await bench(t.testdir({}), ['htpp']).catch(error => error as Error)
  t.match(failed, { code: 64, stderr: /unknown scenario htpp/ })
})
