import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { findApiKey } from '../../src/serving/api-key.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const { tracker_config: defaults } = loadConfig({ environment: {} }).config

t.test('a token is created once, readable by its owner only, and the log has its path', async t => {
  const file = join(temporaryFolder(t), 'new', 'api-key')
  const { log, lines } = createTestLog()
  const key = findApiKey({ ...defaults, api_key_file: file }, log)
  t.ok(key.length >= 32)
  t.equal(readFileSync(file, 'utf8'), `${key}\n`)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(lines, [{ file, msg: 'created a token for the admin API' }])
  t.notOk(JSON.stringify(lines).includes(key), 'never what it is')
  t.equal(findApiKey({ ...defaults, api_key_file: file }, log), key)
  t.equal(lines.length, 1)
})

t.test('the configured token counts, and no file is made', async t => {
  const file = join(temporaryFolder(t), 'api-key')
  const api_key = 'x'.repeat(32)
  t.equal(findApiKey({ ...defaults, api_key, api_key_file: file }, createTestLog().log), api_key)
  t.throws(() => statSync(file))
})

t.test('a token is written to an empty file, and a folder in its place is reported', async t => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'api-key')
  writeFileSync(file, '\n')
  t.ok(findApiKey({ ...defaults, api_key_file: file }, createTestLog().log).length >= 32)
  mkdirSync(join(folder, 'taken'))
  t.throws(
    () => findApiKey({ ...defaults, api_key_file: join(folder, 'taken') }, createTestLog().log),
    { exitStatus: 78, message: /^tracker_config.api_key_file: .* cannot be used: EISDIR/ },
  )
})

t.test('a file that others can read gets the mode of a new one, or a warning', async t => {
  const file = join(temporaryFolder(t), 'api-key')
  writeFileSync(file, '')
  chmodSync(file, 0o644)
  const { log, lines } = createTestLog()
  const key = findApiKey({ ...defaults, api_key_file: file }, log)
  t.equal(statSync(file).mode & 0o777, 0o600)
  chmodSync(file, 0o644)
  t.equal(findApiKey({ ...defaults, api_key_file: file }, log), key)
  t.match(lines.at(-1), { level: 40, file, msg: /every user of this machine can read/ })
})

t.test('a short token is refused, and the error does not show it', async t => {
  const file = join(temporaryFolder(t), 'api-key')
  writeFileSync(file, 'Tr0ub4dor\n')
  const attempt = () => findApiKey({ ...defaults, api_key_file: file }, createTestLog().log)
  t.throws(attempt, {
    exitStatus: 78,
    message: `tracker_config.api_key_file: ${JSON.stringify(file)} cannot be used: its token has fewer than 32 characters`,
  })
})
