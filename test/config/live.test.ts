import t from 'tap'
import { liveConfigOf } from '../../src/config/live.ts'
import { loadConfig } from '../../src/config/load.ts'

const configOf = (environment: Record<string, string>) => loadConfig({ environment }).config

t.test('a reload applies the keys that can change at run time, and names the others', async t => {
  const running = configOf({})
  const wanted = configOf({
    LOG__LEVEL: 'debug',
    TRACKER__NUMWANT_DEFAULT: '10',
    TRACKER__PROMETHEUS_ID: 'other',
    ENGINE__MEMORY: '64 MiB',
    SNAPSHOT__INTERVAL: '60',
    DATABASE__CHUNK_SIZE: '9',
    DATABASE_STRUCTURE__KEYS__TABLE_NAME: 'other',
    HTTP_0_BIND_ADDRESS: '127.0.0.1:7000',
    UDP_1_BIND_ADDRESS: '[::1]:7000',
    UDP_1_USE_PAYLOAD_IP: 'true',
  })
  const { config, waiting } = liveConfigOf(running, wanted)
  t.same([...waiting].sort(), [
    'database.chunk_size',
    'database_structure.keys.table_name',
    'engine.memory',
    'tracker_config.prometheus_id',
    'udp_server[1].bind_address',
  ])
  t.match(config, {
    log: { level: 'debug' },
    tracker_config: { numwant_default: 10, prometheus_id: 'torrust_actix' },
    engine: running.engine,
    snapshot: { interval: 60 },
    database: { chunk_size: running.database.chunk_size },
    database_structure: { keys: { table_name: running.database_structure.keys.table_name } },
    http_server: [{ bind_address: '127.0.0.1:7000' }, {}],
    udp_server: [{}, { bind_address: '[::]:6969', use_payload_ip: true }],
  })
  t.throws(() => Object.assign(config.engine, { threads: 9 }), TypeError, 'as frozen as any other')
})

t.test('a UDP server that is added or removed waits for a restart with all its keys', async t => {
  const running = configOf({})
  const { config, waiting } = liveConfigOf(
    running,
    configOf({ UDP_2_BIND_ADDRESS: '127.0.0.1:7000' }),
  )
  t.same(waiting, ['udp_server'])
  t.same(config, running)
})

t.test('an unchanged configuration does not need a restart', async t => {
  t.same(liveConfigOf(configOf({}), configOf({})), { config: configOf({}), waiting: [] })
})
