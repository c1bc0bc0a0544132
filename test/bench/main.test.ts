import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

t.test('the bench runs every tracker that is there, and none makes errors', async t => {
  const main = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'http', '--smoke'], {
    cwd: t.testdir({}),
  })
  const rows = stdout.split('\n').filter(line => /^\| [a-z]/.test(line))
  t.ok(rows.length >= 6, stdout)
  for (const row of rows) t.match(row, /\| 0 \| \d+ % \|$/, 'no errors')
})

t.test('the small benches run', async t => {
  const main = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
  for (const scenario of ['engine', 'parse', 'udp-loop', 'access', 'snapshot']) {
    const { stdout } = await promisify(execFile)(process.execPath, [main, scenario, '--smoke'])
    t.match(stdout, /\d ns|\/s|µs/, scenario)
  }
})
