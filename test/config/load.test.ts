import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'smol-toml'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { ExitStatus, OperatorError } from '../../src/errors.ts'
import { fc } from '../fixtures/seed.ts'

function load(t: Test, text: string, environment: Record<string, string> = {}) {
  const file = join(t.testdir({}), 'config.toml')
  writeFileSync(file, text)
  return loadConfig({ file, environment })
}

/** The lines of the error for this configuration. */
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

t.test('an empty configuration is valid, and is frozen', async t => {
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

t.test('a file replaces the keys that it sets and no others', async t => {
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

t.test('an error names the key, the rule and the value that was found', async t => {
  const cases: [text: string, line: string][] = [
    [
      '[limits]\nannounces_per_address = -1',
      'limits.announces_per_address: must be a whole number of announces between 0 and 60000 (found -1)',
    ],
    [
      '[limits]\nclient_blacklist = ["-XL", ""]',
      'limits.client_blacklist: must be a list of strings of 1 to 20 visible ASCII characters, such as ["-XL", "-SD0"] (found ["-XL",""])',
    ],
    [
      '[tracker_config]\nrequest_interval = "x"',
      'tracker_config.request_interval: must be a whole number of seconds between 1 and 86400 (found "x")',
    ],
    [
      '[tracker_config]\nrequest_interval_jitter = 51',
      'tracker_config.request_interval_jitter: must be a whole percentage between 0 and 50 (found 51)',
    ],
    ['[[http_server]]\nenabled = 1', 'http_server[0].enabled: must be true or false (found 1)'],
    [
      '[[http_server]]\n[[http_server]]\nbind_address = "localhost:80"',
      'http_server[1].bind_address: must be an address and a port, such as "0.0.0.0:6969" or "[::]:6969" (found "localhost:80")',
    ],
    [
      '[[http_server]]\ntrusted_proxies = true',
      'http_server[0].trusted_proxies: must be a list of address ranges, such as ["10.0.0.0/8", "fd00::/8"] (found true)',
    ],
    [
      '[[http_server]]\nproxy_protocol = true',
      'http_server[0].proxy_protocol: must be false without trusted_proxies; otherwise any client could claim any address (found true)',
    ],
    [
      '[[http_server]]\nssl = true\nssl_key = "k"\nssl_cert = "c"\nproxy_protocol = true\ntrusted_proxies = ["10.0.0.0/8"]',
      'http_server[0].proxy_protocol: must be false with ssl; terminate TLS at the proxy (found true)',
    ],
    [
      '[[udp_server]]\nsimple_proxy_protocol = true',
      'udp_server[0].simple_proxy_protocol: must be false without trusted_proxies; otherwise any client could claim any address (found true)',
    ],
    [
      '[[http_server]]\ntrusted_proxies = ["1.2.3.4/33"]',
      'http_server[0].trusted_proxies: must be a list of address ranges, such as ["10.0.0.0/8", "fd00::/8"] (found ["1.2.3.4/33"])',
    ],
    [
      '[engine]\nmemory = "1 MiB"',
      'engine.memory: must be between 64 MiB and 64 GiB, such as "2 GiB" or "512 MiB" (found "1 MiB")',
    ],
    [
      '[frontend]\nworkers = "many"',
      'frontend.workers: must be "auto" or a whole number between 0 and 256 (found "many")',
    ],
    [
      '[log]\nlevel = "loud"',
      'log.level: must be one of "trace", "debug", "info", "warn", "error", "fatal", "silent", "off" (found "loud")',
    ],
    [
      '[tracker_config]\nnumwant_default = 100',
      'tracker_config.numwant_default: must be at most numwant_maximum, 72 (found 100)',
    ],
    [
      '[tracker_config]\npeers_timeout = 1980',
      'tracker_config.peers_timeout: must be longer than request_interval plus its jitter, 1980 seconds (found 1980)',
    ],
    [
      '[tracker_config]\nrequest_interval_minimum = 1801',
      'tracker_config.request_interval_minimum: must be at most request_interval, 1800 seconds (found 1801)',
    ],
    [
      '[[http_server]]\nenabled = false\n[[udp_server]]\nenabled = false',
      'http_server, udp_server: at least one server must be enabled',
    ],
    [
      '[[http_server]]\n[[http_server]]\n',
      'http_server[1].bind_address: must differ from http_server[0].bind_address (found "0.0.0.0:6969")',
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
    /engine.zzzzzzzzzzzz: unknown key.*known keys: threads, memory/,
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

t.test('a table or column name with other characters is rejected', async t => {
  for (const name of ['', 'a b', 'a;drop', 'a"b', 'a`b', "a'b", 'a.b.c', '1a', 'ä', 'a'.repeat(64)])
    t.match(
      faults(t, `[database_structure.torrents]\ntable_name = '''${name}'''`),
      [/database_structure.torrents.table_name: must be a name of letters/],
      name,
    )
  t.match(faults(t, '[database_structure.keys]\ncolumn_hash = "a.b"'), [
    /database_structure.keys.column_hash: must be a name of letters.*found "a.b"/,
  ])
  t.match(faults(t, '[database_structure.keyz]\ncolumn_hash = "a"'), [
    /database_structure.keyz: unknown section.*did you mean keys\?/,
  ])
  t.match(faults(t, '[database_structure.keys]\ncolumn_has = "a"'), [
    /database_structure.keys.column_has: unknown key.*did you mean column_hash\?/,
  ])
})

t.test('the database path must fit the engine, and no message shows its password', async t => {
  const texts: [text: string, line: RegExp][] = [
    [
      'path = "mysql://me:secret@host/tracker"',
      /database.path: must be sqlite:\/\/FILE with engine = "sqlite3" \(found "mysql:\/\/me:\*+@host\/tracker"\)/,
    ],
    ['engine = "pgsql"', /must be postgres:\/\/USER.* with engine = "pgsql"/],
    ['path = "mysql://me:secret@host"', /database.path: must name one database/],
    ['pathh = "mysql://me:secret@host/tracker"', /did you mean path\?/],
    ['path = ["mysql://me:secret@host/tracker"]', /must be sqlite/],
  ]
  for (const [text, line] of texts) {
    const lines = faults(t, `[database]\n${text}`)
    t.match(lines, [line])
    t.notMatch(lines.join(), /secret/)
  }
})

t.test('every error gets a line', async t => {
  t.equal(faults(t, '[engine]\nthreads = 0\nmemory = "1"\nx = 1\n[log]\nlevel = 3').length, 4)
})

t.test('environment variables override the file', async t => {
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
  t.match(faults(t, '', { TRACKER__REQUEST_INTERVAL: 'soon' }), [/found "soon"/])
  t.match(faults(t, '', { HTTP_5_ENABLED: 'true' }), [
    /HTTP_5_ENABLED: http_server\[4\] is not configured/,
  ])
})

t.test('a file that cannot be read or parsed is reported', async t => {
  t.throws(
    () => loadConfig({ file: '/nonexistent.toml', environment: {} }),
    /nonexistent.toml: cannot read the file/,
  )
  t.match(faults(t, 'a = = 1'), [/config.toml:1:\d+: /])
})

t.test('any TOML file is either accepted or rejected with an OperatorError', async t => {
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

t.test(
  'the environment of Torrust-Actix is read, and nothing in it is ignored silently',
  async t => {
    const { config, warnings } = load(t, '', {
      TRACKER__WHITELIST_ENABLED: 'yes',
      TRACKER__BLACKLIST_ENABLED: 'On',
      TRACKER__SWAGGER: '1',
      SNAPSHOT__ENABLED: 'off',
      LOG_LEVEL: 'off',
      LOG_CONSOLE_INTERVAL: '60',
      HTTP_0_RTCTORRENT: 'false',
      HTTP_0_TRUSTED_PROXIES: 'false',
      CACHE__ENABLED: 'no',
      CACHE__ENGINE: 'redis',
      SENTRY__DSN: 'https://key@sentry.example.org/1',
      TRACKER__CLUSTER: 'standalone',
      DATABASE__CHUNK_SIZE: '0',
    })
    t.match(config, {
      tracker_config: { whitelist_enabled: true, blacklist_enabled: true, swagger: true },
      snapshot: { enabled: false },
      log: { level: 'silent' },
      http_server: [{ trusted_proxies: [] }, {}],
      database: { chunk_size: 0 },
    })
    t.equal(config.log.statistics_interval, 60)
    t.match(config, { cache: { enabled: false, engine: 'redis' } })
    t.match(warnings, [/sentry_config.dsn/])
    t.notMatch(warnings.join(), /sentry.example.org/)
    for (const [name, value] of [
      ['SENTRY__ENABLED', 'yes'],
      ['TRACKER__CLUSTER', 'slave'],
    ] as const) {
      t.equal(faults(t, '', { [name]: value }).length, 1, name)
    }
    t.match(faults(t, '', { TRACKER__SWAGGER: 'maybe' }), [
      /must be true or false \(found "maybe"\)/,
    ])
  },
)

t.test(
  'tables of the database can be left out one by one, but not the other way around',
  async t => {
    const { config } = load(t, '[database_structure.keys]\npersistent = false')
    t.match(config.database_structure, {
      keys: { persistent: false },
      users: { persistent: true },
      whitelist: { persistent: true },
      blacklist: { persistent: true },
      torrents: { persistent: true },
    })
    const line =
      /database_structure.keys.persistent: must be false with database.persistent = false/
    t.match(
      faults(t, '[database]\npersistent = false\n[database_structure.keys]\npersistent = true'),
      [line],
    )
  },
)

t.test('names that every object inherits are unknown names', async t => {
  for (const name of ['__proto__', 'constructor', 'toString'])
    for (const text of [`[${name}]\n_ = 0`, `${name} = 1`, `[engine]\n${name} = 1`])
      t.match(faults(t, text), [/unknown (section|key)/], text)
})

t.test('no error shows the value of a key that may hold a secret', async t => {
  const secret = 'Tr0ub4dor'
  for (const text of [
    `[tracker_config]\napi_kye = "${secret}"`,
    `[tracker_config]\napi_key = ["${secret}"]`,
    `[tracker_config]\napi_key = { value = "${secret}" }`,
    `[tracker_config]\nrequest_interval = { value = "${secret}" }`,
    `api_key = "${secret}"`,
    `tracker_config = "${secret}"`,
    `[database]\npassword = "${secret}"`,
    `[database]\nengine = "postgres://me:${secret}@host/db"`,
    `[database]\npath = "host=x password=${secret}"`,
    `[database]\npath = ["mysql://me:${secret}@host/db"]`,
    `[[http_server]]\nssl_key = """-----BEGIN PRIVATE KEY-----\n${secret}\n"""`,
    `[[http_server]]\ntrusted_proxies = ["https://me:${secret}@host"]`,
  ]) {
    const lines = faults(t, text)
    t.ok(lines.length > 0 && !lines.join().includes(secret), lines.join())
  }
})

t.test('the environment of the docker-compose.yml of Torrust-Actix is accepted', async t => {
  const { config } = load(t, '', {
    LOG_LEVEL: 'debug',
    TRACKER__API_KEY: 'MyVerySecureAPIKey',
    TRACKER__SWAGGER: 'true',
    DATABASE__PERSISTENT: 'false',
    DATABASE__ENGINE: 'sqlite3',
    DATABASE__PATH: 'sqlite://:memory:',
  })
  t.match(config, { database: { persistent: false }, tracker_config: { swagger: true } })
  const stored = () => load(t, '', { DATABASE__PATH: 'sqlite://:memory:' })
  t.throws(stored, { message: /database.path: must name a file/ })
})
