import { parse } from 'smol-toml'
import t from 'tap'
import { removeForeignKeys } from '../../src/config/foreign-keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { TORRUST_ACTIX_CONFIG } from '../fixtures/torrust-actix-config.ts'

t.test(
  'a file of Torrust-Actix is accepted, with one warning that lists the keys that are not used',
  async t => {
    const raw = parse(TORRUST_ACTIX_CONFIG)
    const { warnings, faults } = removeForeignKeys(raw)
    t.same(faults, [])
    t.equal(warnings.length, 1)
    for (const key of [
      'tracker_config.cluster_bind_address',
      'http_server[0].keep_alive',
      'udp_server[0].worker_threads',
    ]) {
      t.match(warnings[0], key)
    }
    const file = `${t.testdir({ 'config.toml': TORRUST_ACTIX_CONFIG })}/config.toml`
    const { config } = loadConfig({ file, environment: {} })
    t.match(config.http_server, [
      { bind_address: '0.0.0.0:6969', trusted_proxies: [], max_connections: 25000 },
    ])
    t.match(config.database, { path: 'sqlite://data.db', persistent: true, chunk_size: 1000 })
    t.match(config.database_structure, {
      torrents: { bin_type_infohash: true },
      users: { id_uuid: true },
    })
  },
)

t.test('a key that asks for a missing feature is an error', async t => {
  for (const [text, feature] of [['[sentry_config]\nenabled = true', 'Sentry']] as const) {
    const { faults } = removeForeignKeys(parse(text))
    t.match(faults, [`muster does not support ${feature}`], text)
  }
})

t.test('keys of muster are not changed', async t => {
  const raw = parse('[engine]\nthreads = 2\n[[http_server]]\nenabled = true\n')
  t.same(removeForeignKeys(raw), { warnings: [], faults: [] })
  t.match(raw, { engine: { threads: 2 }, http_server: [{ enabled: true }] })
})

t.test('a cluster of Torrust-Actix is refused', async t => {
  for (const mode of ['master', 'slave', 'Master'])
    t.match(removeForeignKeys(parse(`[tracker_config]\ncluster = "${mode}"`)).faults, [
      /^tracker_config.cluster: muster has no master and no slaves/,
    ])
  t.same(removeForeignKeys(parse('[tracker_config]\ncluster = "standalone"')).faults, [])
})
