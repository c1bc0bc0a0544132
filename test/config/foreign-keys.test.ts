import { parse } from 'smol-toml'
import t from 'tap'
import { takeForeignKeys } from '../../src/config/foreign-keys.ts'
import { loadConfig } from '../../src/config/load.ts'

/** As Torrust-Actix writes its file, but for what is switched on. */
const TORRUST_ACTIX = `
log_level = "info"
log_console_interval = 60
[tracker_config]
api_key = "0123456789abcdef0123456789abcdef"
whitelist_enabled = false
blacklist_enabled = false
keys_enabled = false
keys_cleanup_interval = 60
users_enabled = false
request_interval = 1800
request_interval_minimum = 1800
peers_timeout = 2700
peers_cleanup_interval = 900
peers_cleanup_threads = 256
total_downloads = 0
swagger = false
prometheus_id = "torrust_actix"
cluster = "standalone"
cluster_port = 8888
rtc_interval = 10
[[http_server]]
enabled = true
bind_address = "0.0.0.0:6969"
real_ip = "X-Real-IP"
trusted_proxies = false
keep_alive = 60
request_timeout = 15
disconnect_timeout = 15
max_connections = 25000
threads = 8
ssl = false
ssl_key = ""
ssl_cert = ""
tls_connection_rate = 256
rtctorrent = false
[[udp_server]]
enabled = false
bind_address = "0.0.0.0:6969"
udp_threads = 2
worker_threads = 2
receive_method = "io_uring"
[[api_server]]
enabled = false
bind_address = "0.0.0.0:8080"
[database]
engine = "sqlite3"
path = "sqlite://data.db"
persistent = false
persistent_interval = 60
insert_vacant = false
remove_action = false
update_completed = true
update_peers = false
chunk_size = 500
[database_structure.torrents]
table_name = "torrents"
column_infohash = "infohash"
bin_type_infohash = true
column_seeds = "seeds"
column_peers = "peers"
column_completed = "completed"
persistent = false
[database_structure.users]
id_uuid = false
[cache]
enabled = false
[sentry_config]
enabled = false
`

t.test(
  'a file of Torrust-Actix is taken, with one warning that lists what has no meaning',
  async t => {
    const raw = parse(TORRUST_ACTIX)
    const { warnings, faults } = takeForeignKeys(raw)
    t.same(faults, [])
    t.equal(warnings.length, 1)
    for (const key of [
      'log_console_interval',
      'tracker_config.cluster_port',
      'http_server[0].keep_alive',
      'udp_server[0].worker_threads',
    ]) {
      t.match(warnings[0], key)
    }
    const file = `${t.testdir({ 'config.toml': TORRUST_ACTIX })}/config.toml`
    const { config } = loadConfig({ file, environment: {} })
    t.match(config.http_server, [
      { bind_address: '0.0.0.0:6969', trusted_proxies: [], max_connections: 25000 },
    ])
    t.match(config.database, { path: 'sqlite://data.db', persistent: false, chunk_size: 500 })
    t.match(config.database_structure, {
      torrents: { persistent: false },
      users: { id_uuid: false },
    })
  },
)

t.test('what asks for a feature that is not there is an error, never silence', async t => {
  for (const [text, feature] of [
    ['[[http_server]]\nrtctorrent = true', 'RtcTorrent'],
    ['[sentry_config]\nenabled = true', 'Sentry'],
  ] as const) {
    const { faults } = takeForeignKeys(parse(text))
    t.match(faults, [`this version has not ${feature} yet`], text)
  }
})

t.test('keys of muster are left alone', async t => {
  const raw = parse('[engine]\nthreads = 2\n[[http_server]]\nenabled = true\n')
  t.same(takeForeignKeys(raw), { warnings: [], faults: [] })
  t.match(raw, { engine: { threads: 2 }, http_server: [{ enabled: true }] })
})
