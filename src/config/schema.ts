import { NUMWANT_MAX } from '../protocol/limits.ts'
import { ACCESS_KEYS } from './access-schema.ts'
import { ACCOUNTING_SECTION } from './accounting-schema.ts'
import { CACHE_SECTION } from './cache-schema.ts'
import { DATABASE_SECTIONS } from './database-schema.ts'
import { EVENTS_SECTION } from './events-schema.ts'
import { FAILURES_SECTION } from './failures-schema.ts'
import { filePath, type SectionSchema, seconds, switchedOff, switchedOn } from './key-schema.ts'
import { LIMITS_SECTION } from './limits-schema.ts'
import { NODES_SECTION } from './nodes-schema.ts'
import { SERVER_SECTIONS } from './server-schemas.ts'
import { TELEMETRY_SECTION } from './telemetry-schema.ts'
import { WEBSOCKET_SECTION } from './websocket-schema.ts'

/**
 * Every section and key: the only source of defaults, validation, the type `Config`, config.toml,
 * docs/reference/config.md and environment names. A dot in a name is a table within a table.
 */
export const SCHEMA = {
  tracker_config: {
    description: 'Access rules, and the intervals that the tracker sends to clients.',
    list: false,
    environment: 'TRACKER__',
    restart: ['prometheus_id', 'key_format', 'rtc_peers_timeout'],
    keys: {
      ...ACCESS_KEYS,
      api_key: {
        type: 'string',
        default: '',
        secret: true,
        allowed: 'a string, of at least 32 random characters, or "" to use api_key_file',
        description:
          'Token of the admin API. If it is empty, a token is generated at the first start and stored in api_key_file.',
      },
      api_key_file: filePath('data/api-key', 'File that stores the generated token (mode 0600).'),
      prometheus_id: {
        type: 'string',
        pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$',
        default: 'torrust_actix',
        allowed: 'a name of letters, digits and underscores',
        description: 'Prefix of the Torrust-Actix-compatible metric names.',
      },
      swagger: switchedOff(
        'Serve the OpenAPI document and Swagger UI (/swagger-ui/) without a token.',
      ),
      keys_cleanup_interval: seconds(
        60,
        1,
        'Seconds between deletions of expired keys. Expired keys are rejected immediately; this only controls when they are deleted.',
      ),
      request_interval: seconds(
        1800,
        1,
        'Seconds between announces, sent in responses as interval.',
      ),
      request_interval_minimum: seconds(
        1800,
        1,
        'Minimum seconds between announces, sent in responses as min interval; at most request_interval.',
      ),
      request_interval_jitter: {
        type: 'integer',
        default: 10,
        minimum: 0,
        maximum: 50,
        allowed: 'a whole percentage between 0 and 50',
        description:
          'Up to this percentage of request_interval is added at random, so that clients do not announce in step. 0 adds nothing.',
      },
      websocket_interval: seconds(
        120,
        1,
        'Seconds between announces of a WebTorrent client. It learns about new peers only when it announces.',
      ),
      peers_timeout: seconds(
        2700,
        1,
        'Seconds after its last announce until a peer is removed; longer than request_interval plus its jitter.',
      ),
      peers_cleanup_interval: seconds(
        900,
        1,
        'Seconds for one full pass that removes expired peers.',
      ),
      rtc_interval: seconds(30, 1, 'Seconds between announces of an RtcTorrent client.'),
      rtc_peers_timeout: seconds(
        120,
        1,
        'Seconds after its last announce until an RtcTorrent client is removed.',
      ),
      failure_texts: {
        type: 'string',
        enum: ['muster', 'torrust-actix'],
        default: 'muster',
        description:
          'Standard texts of failures. "torrust-actix" uses the texts of Torrust-Actix, some of which clean-up tools misread. The section failures replaces single texts.',
      },
      numwant_default: {
        type: 'integer',
        default: 72,
        minimum: 1,
        maximum: NUMWANT_MAX,
        unit: 'peers',
        description: 'Number of peers in a response if the client does not ask for a number.',
      },
      numwant_maximum: {
        type: 'integer',
        default: 72,
        minimum: 1,
        maximum: NUMWANT_MAX,
        unit: 'peers',
        description: 'Maximum number of peers in a response.',
      },
    },
  },
  ...SERVER_SECTIONS,
  engine: {
    description: 'The threads that hold the swarms, and their memory.',
    list: false,
    environment: 'ENGINE__',
    restart: 'all',
    keys: {
      threads: {
        type: 'integer',
        default: 1,
        minimum: 1,
        maximum: 64,
        unit: 'threads',
        description: 'Engine threads. Each serves about 100,000 HTTP announces per second.',
      },
      memory: {
        type: 'string',
        format: 'size',
        default: '2 GiB',
        allowed: 'between 64 MiB and 64 GiB, such as "2 GiB" or "512 MiB"',
        description:
          'Memory for swarms, about 100 bytes per peer. This is address space, which takes up memory only as peers arrive. When it is full, torrents with a single new peer are evicted first, and the peers that have been silent longest last.',
      },
      huge_pages: switchedOff(
        'Ask the kernel for 2 MiB pages for this memory, and for the tables of users and their sessions (Linux). Announces among millions of peers or sessions become faster, and slightly more memory is used. A warning is logged if huge pages are not available.',
      ),
    },
  },
  frontend: {
    description: 'The processes that serve HTTP.',
    list: false,
    environment: 'FRONTEND__',
    restart: 'all',
    keys: {
      workers: {
        type: ['integer', 'string'],
        anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 0, maximum: 256 }],
        default: 'auto',
        allowed: '"auto" or a whole number between 0 and 256',
        description:
          'Worker processes. "auto" uses the processor cores that the engine threads leave, at least 1. 0 serves everything from a single process.',
      },
      http: {
        type: 'string',
        enum: ['auto', 'uws', 'node'],
        default: 'auto',
        description:
          'Backend of HTTP and WebSocket: uws is uWebSockets.js, native and the fastest; node is node:http and ws, which run on every Node.js release and also accept HTTP/1.0. auto selects uws where it loads. Listeners with proxy_protocol always use node.',
      },
      idle_timeout: {
        type: 'integer',
        default: 75,
        minimum: 1,
        maximum: 3600,
        unit: 'seconds',
        description:
          'Seconds that a connection may be idle between two requests. uws has a fixed time, 10 to 30 seconds depending on its version.',
      },
    },
  },
  limits: LIMITS_SECTION,
  failures: FAILURES_SECTION,
  websocket: WEBSOCKET_SECTION,
  accounting: ACCOUNTING_SECTION,
  events: EVENTS_SECTION,
  ...DATABASE_SECTIONS,
  cache: CACHE_SECTION,
  nodes: NODES_SECTION,
  snapshot: {
    description:
      'The swarms on disk. They are written periodically and at shutdown, and restored at startup while the tracker is already serving.',
    list: false,
    environment: 'SNAPSHOT__',
    restart: ['enabled', 'path'],
    keys: {
      enabled: switchedOn('Store the swarms, so that they survive a restart.'),
      path: filePath(
        'data/swarm.snapshot',
        'Path of the snapshot. The previous one is stored beside it as FILE.previous.',
      ),
      interval: seconds(900, 10, 'Seconds between snapshots.'),
    },
  },
  telemetry: TELEMETRY_SECTION,
  log: {
    description: 'The log, on standard output.',
    list: false,
    environment: 'LOG__',
    restart: ['format'],
    keys: {
      level: {
        type: 'string',
        enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent', 'off'],
        default: 'info',
        description:
          'Least severe level that is logged; "off" and "silent" log nothing. Requests are never logged at info.',
      },
      format: {
        type: 'string',
        enum: ['auto', 'json', 'pretty'],
        default: 'auto',
        description:
          'JSON lines or readable text; "auto" is readable text on a terminal and JSON otherwise.',
      },
      statistics_interval: {
        type: 'integer',
        default: 0,
        minimum: 0,
        maximum: 86_400,
        unit: 'seconds',
        description:
          'Seconds between log lines with the counts of torrents, peers, downloads, lists and keys. 0 logs none. log_console_interval of Torrust-Actix sets this key.',
      },
    },
  },
} as const satisfies Readonly<Record<string, SectionSchema>>

export const SECTIONS: Readonly<Record<string, SectionSchema>> = SCHEMA

type TableSchema = {
  readonly type: 'object'
  readonly additionalProperties: false
  readonly default?: object
  readonly properties: Record<string, object>
}

function tableSchema(properties: Record<string, object>): TableSchema {
  return { type: 'object', additionalProperties: false, properties }
}

/** The value of a section that the configuration does not set. */
function defaultOf({ defaults, keys, list }: SectionSchema): object {
  const table = Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, value.default]))
  return list ? (defaults ?? []).map(own => ({ ...table, ...own })) : table
}

/**
 * The JSON schema with which ajv checks a configuration and fills in its defaults. With `raw`, it
 * checks only the sections of that configuration, and compiles in a fraction of the time.
 */
export function jsonSchema(raw?: Readonly<Record<string, unknown>>): object {
  const root = tableSchema({})
  for (const [name, section] of Object.entries(SECTIONS)) {
    const isSet = !raw || Object.hasOwn(raw, name.split('.')[0] ?? name)
    const table = tableSchema(
      Object.fromEntries(
        Object.entries(section.keys).map(
          ([key, { description, allowed, secret, unit, ...schema }]) => [key, schema],
        ),
      ),
    )
    const [last = name, ...outer] = name.split('.').reverse()
    let parent = root
    for (const part of outer.reverse()) {
      parent.properties[part] ??= { ...tableSchema({}), default: {} }
      parent = parent.properties[part] as TableSchema
    }
    if (!isSet) parent.properties[last] = { default: defaultOf(section) }
    else if (section.list)
      parent.properties[last] = { type: 'array', items: table, default: section.defaults }
    else parent.properties[last] = { ...table, default: {} }
  }
  return root
}

/** The section at the start of a path of names (without indices), and the rest of the path. */
export function sectionAt(
  path: readonly string[],
): { readonly section: SectionSchema; readonly rest: readonly string[] } | undefined {
  for (let length = path.length; length > 0; length--) {
    const section = SECTIONS[path.slice(0, length).join('.')]
    if (section) return { section, rest: path.slice(length) }
  }
  return undefined
}

/** Names that are valid below a path that is only a prefix of section names. */
export function sectionNamesAt(path: readonly string[]): string[] {
  const prefix = path.map(part => `${part}.`).join('')
  const below = Object.keys(SECTIONS).filter(name => name.startsWith(prefix))
  return [...new Set(below.map(name => name.slice(prefix.length).split('.')[0] ?? ''))]
}
