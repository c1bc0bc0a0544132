import t from 'tap'
import { isCut } from '../../src/app/cut-file.ts'

const CONFIG = `# The tracker.
[tracker_config]
keys_enabled = true
api_key = "secret"

[[http_server]]
bind_address = "127.0.0.1:1"

[[http_server]]
bind_address = "127.0.0.1:2"

# Where the data is.
[database]
path = "sqlite://data.db"
persistent = true
`

t.test('a file that was cut short is detected', async t => {
  for (const end of [
    '[tracker_config]',
    'keys_en',
    'api_key = "secret"',
    '"127.0.0.1:1"',
    '[database]',
  ]) {
    const at = CONFIG.indexOf(end) + end.length
    t.ok(isCut(CONFIG, CONFIG.slice(0, at)), end)
  }
  for (const empty of ['', '\n', '# The tracker.\n']) t.ok(isCut(CONFIG, empty))
})

t.test('a file that an operator changed is not cut', async t => {
  const last = CONFIG.slice(0, CONFIG.indexOf('[database]'))
  for (const changed of [
    CONFIG,
    last,
    last.trimEnd(),
    CONFIG.replace('[tracker_config]\nkeys_enabled = true\napi_key = "secret"\n', ''),
    CONFIG.replace('keys_enabled = true\n', ''),
    CONFIG.replaceAll('\n', '\r\n'),
    `${CONFIG}[log]\n`,
  ])
    t.notOk(isCut(CONFIG, changed), changed)
  t.notOk(isCut('', ''))
  t.notOk(isCut('# only defaults\n', ''))
})
