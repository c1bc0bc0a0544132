import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'

function warningsOf(environment: Record<string, string>): readonly string[] {
  return loadConfig({ environment }).warnings
}

t.test('the default configuration has no warnings', async t => {
  t.same(warningsOf({}), [])
})

t.test('a short token is accepted with a warning that does not show it', async t => {
  const [warning = '', ...others] = warningsOf({ TRACKER__API_KEY: 'MyVerySecureAPIKey' })
  t.match(warning, /^tracker_config.api_key: the token has only 18 characters/)
  t.notMatch(warning, 'MyVery')
  t.same(others, [])
  t.same(warningsOf({ TRACKER__API_KEY: 'x'.repeat(32) }), [])
})

t.test('intervals that lists of public trackers reject', async t => {
  const line = [/^tracker_config.request_interval: lists of public trackers reject/]
  const short = { TRACKER__REQUEST_INTERVAL: '299', TRACKER__REQUEST_INTERVAL_MINIMUM: '299' }
  t.match(warningsOf(short), line)
  t.match(warningsOf({ TRACKER__REQUEST_INTERVAL: '10801', TRACKER__PEERS_TIMEOUT: '86400' }), line)
  t.same(warningsOf({ ...short, TRACKER__KEYS_ENABLED: 'true' }), [], 'a private tracker')
})
