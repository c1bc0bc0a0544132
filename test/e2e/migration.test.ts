import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import t from 'tap'
import { literal, torrustActixTables } from '../database/fixtures/torrust-actix-tables.ts'
import { followDocument, loopbackPorts } from '../fixtures/documents.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const skip = !hasProgram('curl') && 'curl is not installed'

const HASH = '0102030405060708090a0b0c0d0e0f1011121314'
const KEY = '1'.repeat(40)
const USER_KEY = '2'.repeat(40)
const UUID = '550e8400-e29b-41d4-a716-446655440000'

/** As Torrust-Actix writes it, for a private tracker. */
const CONFIG = `log_level = "info"
log_console_interval = 60

[tracker_config]
api_key = "0123456789abcdef0123456789abcdef"
whitelist_enabled = true
blacklist_enabled = true
keys_enabled = true
keys_cleanup_interval = 60
users_enabled = true
request_interval = 1800
request_interval_minimum = 1800
peers_timeout = 2700
peers_cleanup_interval = 900
peers_cleanup_threads = 256
total_downloads = 0
swagger = false
prometheus_id = "torrust_actix"
cluster = "standalone"

[sentry_config]
enabled = false

[cache]
enabled = false

[[http_server]]
enabled = true
bind_address = "0.0.0.0:6969"
real_ip = "X-Real-IP"
trusted_proxies = false
keep_alive = 60
request_timeout = 15
disconnect_timeout = 15
max_connections = 25000
threads = 2
ssl = false
ssl_key = ""
ssl_cert = ""
tls_connection_rate = 256
rtctorrent = false

[[udp_server]]
enabled = true
bind_address = "0.0.0.0:6969"
udp_threads = 2
worker_threads = 2
receive_buffer_size = 134217728
send_buffer_size = 67108864
reuse_address = true
receive_method = "io_uring"

[[api_server]]
enabled = true
bind_address = "0.0.0.0:8080"
real_ip = "X-Real-IP"
trusted_proxies = false
keep_alive = 60
request_timeout = 30
disconnect_timeout = 30
max_connections = 25000
threads = 1
ssl = false
ssl_key = ""
ssl_cert = ""

[database]
engine = "sqlite3"
path = "sqlite://data.db"
persistent = true
persistent_interval = 60
insert_vacant = false
remove_action = false
update_completed = true
update_peers = false
chunk_size = 1000

[database_structure.torrents]
table_name = "torrents"
column_infohash = "infohash"
bin_type_infohash = true
column_seeds = "seeds"
column_peers = "peers"
column_completed = "completed"

[database_structure.users]
table_name = "users"
id_uuid = true
`

function makeDatabase(file: string): void {
  const shape = { binary: true, uuid: true }
  const hash = (hex: string) => literal('sqlite3', shape, hex)
  const database = new Database(file)
  for (const statement of [
    ...torrustActixTables('sqlite3', shape),
    `INSERT INTO torrents VALUES (${hash(HASH)}, 3, 4, 77)`,
    `INSERT INTO whitelist VALUES (${hash(HASH)})`,
    `INSERT INTO blacklist VALUES (${hash('f'.repeat(40))})`,
    `INSERT INTO keys VALUES (${hash(KEY)}, 0)`,
    `INSERT INTO users VALUES ('${UUID}', ${hash(USER_KEY)}, 100, 50, 2, 1, 1700000000)`,
  ])
    database.exec(statement)
  database.close()
}

t.test('Torrust-Actix’s configuration and database are taken over', { skip }, async t => {
  const folder = temporaryFolder(t)
  const adapt = await loopbackPorts()
  writeFileSync(join(folder, 'config.toml'), adapt(CONFIG))
  makeDatabase(join(folder, 'data.db'))
  await followDocument(t, 'docs/migration-from-torrust-actix.md', folder, adapt)
})
