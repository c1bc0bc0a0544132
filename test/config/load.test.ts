import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { ExitStatus, OperatorError } from '../../src/errors.ts'

function load(t: Test, text: string, environment: Record<string, string> = {}) {
  const file = join(t.testdir({}), 'config.toml')
  writeFileSync(file, text)
  return loadConfig({ file, environment })
}

/** The lines of the error that this configuration gets. */
function faults(t: Test, text: string, environment: Record<string, string> = {}): string[] {
  try {
    load(t, text, environment)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    t.equal(error.exitStatus, ExitStatus.config)
    return error.message.split('\n')
  }
  t.fail(`no error for ${text}`)
  return []
}

t.test('nothing at all is a working configuration, frozen', async t => {
  const { config, warnings } = loadConfig({ environment: {} })
  t.same(warnings, [])
  t.match(config, {
    tracker_config: { request_interval: 1800, peers_timeout: 2700 },
    engine: { threads: 1, memory: 2 * 2 ** 30 },
    frontend: { workers: 'auto' },
    log: { level: 'info' },
  })
  t.same(
    config.http_server.map(server => server.bind_address),
    ['0.0.0.0:6969', '[::]:6969'],
  )
  t.throws(() => Object.assign(config.http_server[0] ?? {}, { enabled: false }))
  t.same(structuredClone(config), config)
})

t.test('a file replaces what it names and leaves the rest', async t => {
  const { config } = load(
    t,
    '[[http_server]]\nbind_address = "127.0.0.1:1"\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n[engine]\nmemory = "512 MiB"\n[frontend]\nworkers = 3\n',
  )
  t.match(config.http_server, [
    { enabled: true, bind_address: '127.0.0.1:1', trusted_proxies: ['10.0.0.0/8', '::1'] },
  ])
  t.equal(config.http_server.length, 1)
  t.equal(config.engine.memory, 512 * 2 ** 20)
  t.equal(config.frontend.workers, 3)
})

t.test('a wrong value is named with its key, what was found and what is allowed', async t => {
  const cases: [text: string, line: string][] = [
    [
      '[limits]\nannounces_per_address = -1',
      'limits.announces_per_address: -1 is not allowed; allowed is a whole number from 0 to 60000',
    ],
    [
      '[limits]\nclient_blacklist = ["-XL", ""]',
      'limits.client_blacklist: ["-XL",""] is not allowed; allowed is a list of texts of 1 to 20 visible ASCII characters, as ["-XL", "-SD0"]',
    ],
    [
      '[tracker_config]\nrequest_interval = "x"',
      'tracker_config.request_interval: "x" is not allowed; allowed is a whole number from 1 to 86400',
    ],
    [
      '[tracker_config]\nrequest_interval_jitter = 51',
      'tracker_config.request_interval_jitter: 51 is not allowed; allowed is a whole number from 0 to 50',
    ],
    [
      '[[http_server]]\nenabled = 1',
      'http_server[0].enabled: 1 is not allowed; allowed is true or false',
    ],
    [
      '[[http_server]]\n[[http_server]]\nbind_address = "localhost:80"',
      'http_server[1].bind_address: "localhost:80" is not allowed; allowed is an address and a port, as 0.0.0.0:6969 or [::]:6969',
    ],
    [
      '[[http_server]]\ntrusted_proxies = true',
      'http_server[0].trusted_proxies: true is not allowed; allowed is a list of address ranges, as ["10.0.0.0/8", "fd00::/8"]',
    ],
    [
      '[[http_server]]\nproxy_protocol = true',
      'http_server[0].proxy_protocol: true is not allowed without trusted_proxies; anyone could enter any address',
    ],
    [
      '[[http_server]]\nssl = true\nssl_key = "k"\nssl_cert = "c"\nproxy_protocol = true\ntrusted_proxies = ["10.0.0.0/8"]',
      'http_server[0].proxy_protocol: true is not allowed with ssl; let the proxy speak TLS',
    ],
    [
      '[[udp_server]]\nsimple_proxy_protocol = true',
      'udp_server[0].simple_proxy_protocol: true is not allowed without trusted_proxies; anyone could enter any address',
    ],
    [
      '[[http_server]]\ntrusted_proxies = ["1.2.3.4/33"]',
      'http_server[0].trusted_proxies: ["1.2.3.4/33"] is not allowed; allowed is a list of address ranges, as ["10.0.0.0/8", "fd00::/8"]',
    ],
    [
      '[engine]\nmemory = "1 MiB"',
      'engine.memory: "1 MiB" is not allowed; allowed is a size from 64 MiB to 64 GiB, as "2 GiB" or "512 MiB"',
    ],
    [
      '[frontend]\nworkers = "many"',
      'frontend.workers: "many" is not allowed; allowed is "auto", or a whole number from 0 to 256',
    ],
    [
      '[log]\nlevel = "loud"',
      'log.level: "loud" is not allowed; allowed is "trace", "debug", "info", "warn", "error", "fatal", "silent"',
    ],
    [
      '[tracker_config]\nnumwant_default = 100',
      'tracker_config.numwant_default: 100 is not allowed; allowed is at most numwant_maximum, 72',
    ],
    [
      '[tracker_config]\npeers_timeout = 1980',
      'tracker_config.peers_timeout: 1980 is not allowed; allowed is more than request_interval with its jitter, 1980',
    ],
    [
      '[tracker_config]\nrequest_interval_minimum = 1801',
      'tracker_config.request_interval_minimum: 1801 is not allowed; allowed is at most request_interval, 1800',
    ],
    [
      '[[http_server]]\nenabled = false\n[[udp_server]]\nenabled = false',
      'http_server, udp_server: no server is enabled; allowed is at least one',
    ],
    [
      '[[http_server]]\n[[http_server]]\n',
      'http_server[1].bind_address: "0.0.0.0:6969" is not allowed; http_server[0] has it already',
    ],
  ]
  for (const [text, line] of cases) t.same(faults(t, text), [line])
})

t.test('an unknown name gets the nearest known one', async t => {
  t.match(faults(t, '[tracker_config]\nrequest_intervall = 1'), [
    /request_intervall: unknown key.*did you mean request_interval\?/,
  ])
  t.match(faults(t, '[frontent]\nworkers = 1'), [
    /frontent: unknown section.*did you mean frontend\?/,
  ])
  t.match(faults(t, '[engine]\nzzzzzzzzzzzz = 1'), [
    /engine.zzzzzzzzzzzz: unknown key.*known are threads, memory/,
  ])
})

t.test(
  'tables and columns have the names of Torrust-Actix unless the file says otherwise',
  async t => {
    const { config } = load(
      t,
      '[database_structure.users]\ntable_name = "site.members"\nid_uuid = false\ncolumn_key = "passkey"',
      {
        DATABASE_STRUCTURE__USERS__COLUMN_ID: 'member',
        DATABASE_STRUCTURE__TORRENTS__BIN_TYPE_INFOHASH: 'false',
        DATABASE__CHUNK_SIZE: '7',
      },
    )
    t.match(config.database, { engine: 'sqlite3', path: 'sqlite://data/muster.db', chunk_size: 7 })
    t.match(config.database_structure.users, {
      table_name: 'site.members',
      id_uuid: false,
      column_key: 'passkey',
      column_id: 'member',
      column_active: 'active',
    })
    t.match(config.database_structure.torrents, {
      table_name: 'torrents',
      bin_type_infohash: false,
      column_infohash: 'infohash',
    })
  },
)

t.test('a name that is more than a name does not reach the database', async t => {
  for (const name of ['', 'a b', 'a;drop', 'a"b', 'a`b', "a'b", 'a.b.c', '1a', 'ä', 'a'.repeat(64)])
    t.match(
      faults(t, `[database_structure.torrents]\ntable_name = '''${name}'''`),
      [/database_structure.torrents.table_name: .* is not allowed; allowed is a name of letters/],
      name,
    )
  t.match(faults(t, '[database_structure.keys]\ncolumn_hash = "a.b"'), [
    /database_structure.keys.column_hash: "a.b" is not allowed/,
  ])
  t.match(faults(t, '[database_structure.keyz]\ncolumn_hash = "a"'), [
    /database_structure.keyz: unknown section.*did you mean keys\?/,
  ])
  t.match(faults(t, '[database_structure.keys]\ncolumn_has = "a"'), [
    /database_structure.keys.column_has: unknown key.*did you mean column_hash\?/,
  ])
})

t.test('a path of the database fits its engine, and no message shows its password', async t => {
  const texts: [text: string, line: RegExp][] = [
    [
      'path = "mysql://me:secret@host/tracker"',
      /database.path: "mysql:\/\/me:\*+@host\/tracker" is not allowed; allowed with engine = "sqlite3" is sqlite:\/\/FILE/,
    ],
    ['engine = "pgsql"', /allowed with engine = "pgsql" is postgres:\/\/USER/],
    ['path = "mysql://me:secret@host"', /database.path: .* is not allowed; allowed is sqlite/],
    ['pathh = "mysql://me:secret@host/tracker"', /did you mean path\?/],
    ['path = ["mysql://me:secret@host/tracker"]', /is not allowed/],
  ]
  for (const [text, line] of texts) {
    const lines = faults(t, `[database]\n${text}`)
    t.match(lines, [line])
    t.notMatch(lines.join(), /secret/)
  }
})

t.test('every fault gets a line', async t => {
  t.equal(faults(t, '[engine]\nthreads = 0\nmemory = "1"\nx = 1\n[log]\nlevel = 3').length, 4)
})

t.test('the environment comes after the file', async t => {
  const { config } = load(t, '[tracker_config]\nrequest_interval = 1900', {
    TRACKER__REQUEST_INTERVAL: '2000',
    HTTP_0_BIND_ADDRESS: '127.0.0.1:5',
    HTTP_1_ENABLED: 'false',
    HTTP_2_BIND_ADDRESS: '127.0.0.1:7',
    HTTP_2_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    FRONTEND__WORKERS: '0',
    LOG_LEVEL: 'debug',
    HTTP_PROXY: 'http://elsewhere',
  })
  t.equal(config.tracker_config.request_interval, 2000)
  t.same(
    config.http_server.map(server => [server.bind_address, server.enabled]),
    [
      ['127.0.0.1:5', true],
      ['[::]:6969', false],
      ['127.0.0.1:7', true],
    ],
  )
  t.same(config.http_server[2]?.trusted_proxies, ['10.0.0.0/8', '::1'])
  t.match([config.frontend.workers, config.log.level], [0, 'debug'])
  t.match(faults(t, '', { TRACKER__REQUEST_INTERVALL: '1' }), [/did you mean request_interval/])
  t.match(faults(t, '', { TRACKER__REQUEST_INTERVAL: 'soon' }), [/"soon" is not allowed/])
  t.match(faults(t, '', { HTTP_5_ENABLED: 'true' }), [
    /HTTP_5_ENABLED: there is no http_server\[4\]/,
  ])
})

t.test('files that cannot be read, or are no TOML, say so', async t => {
  t.throws(
    () => loadConfig({ file: '/nonexistent.toml', environment: {} }),
    /nonexistent.toml: cannot be read/,
  )
  t.match(faults(t, 'a = = 1'), [/config.toml:1:\d+: /])
})

t.test('whatever a file holds, it is either taken or explained', async t => {
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.double({ noNaN: true }),
    fc.array(fc.integer()),
  )
  const names = fc.oneof(
    fc.constantFrom(
      'tracker_config',
      'http_server',
      'engine',
      'frontend',
      'log',
      'database',
      'udp_server',
    ),
    fc.stringMatching(/^[a-z_]{1,12}$/),
  )
  const keys = fc.oneof(
    fc.constantFrom(
      'request_interval',
      'bind_address',
      'memory',
      'workers',
      'level',
      'enabled',
      'ssl',
    ),
    fc.stringMatching(/^[a-z_]{1,12}$/),
  )
  const table = fc.dictionary(keys, value)
  fc.assert(
    fc.property(
      fc.dictionary(names, fc.oneof(value, table, fc.array(table, { minLength: 1 }))),
      raw => {
        let text: string
        try {
          text = stringify(raw)
        } catch {
          return
        }
        try {
          load(t, text)
        } catch (error) {
          if (!(error instanceof OperatorError)) throw error
        }
      },
    ),
    { numRuns: 500 },
  )
})
