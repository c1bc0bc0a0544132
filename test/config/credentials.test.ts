import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { withCredentials } from '../../src/config/credentials.ts'
import { loadConfig } from '../../src/config/load.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

t.test('credentials of systemd are values of the configuration', async t => {
  const folder = temporaryFolder(t)
  const token = 'a token of at least 32 characters.'
  writeFileSync(join(folder, 'TRACKER__API_KEY'), `${token}\n`)
  writeFileSync(join(folder, 'TRACKER__KEYS_ENABLED'), 'true')
  writeFileSync(join(folder, 'other.pem'), 'not for the configuration')
  const environment = { CREDENTIALS_DIRECTORY: folder, TRACKER__KEYS_ENABLED: 'false' }
  const { config } = loadConfig({ environment: withCredentials(environment) })
  t.match(config.tracker_config, { api_key: token, keys_enabled: false })
  t.same(withCredentials({ A: 'b' }), { A: 'b' })
  t.throws(() => withCredentials({ CREDENTIALS_DIRECTORY: join(folder, 'none') }), {
    message: /cannot read the credentials/,
    exitStatus: 78,
  })
})
