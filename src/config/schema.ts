import { NUMWANT_MAX } from '../protocol/limits.ts'
import { DATABASE_SECTIONS } from './database-schema.ts'
import { LIMITS_SECTION } from './limits-schema.ts'

/** One key: a JSON schema, with what the configuration file and the documentation say about it. */
export type KeySchema = {
  readonly type: string | readonly string[]
  readonly default: unknown
  readonly description: string
  /** What may stand here, where the schema's own words do not say it well. */
  readonly allowed?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly minLength?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly format?: string
  readonly items?: { readonly type: string; readonly format?: string }
  readonly anyOf?: readonly object[]
  /** Masked wherever the configuration is printed. */
  readonly secret?: boolean
}

export type SectionSchema = {
  readonly description: string
  /** A list of tables, `[[name]]`. */
  readonly list: boolean
  /** What a list holds when the file says nothing. */
  readonly defaults?: readonly Record<string, unknown>[]
  /** `TRACKER__X` for a table, `HTTP_0_X` for a list. */
  readonly environment: string
  /** Keys that are read at the start alone; a reload takes the others. */
  readonly restart?: 'all' | readonly string[]
  readonly keys: Readonly<Record<string, KeySchema>>
}

function seconds(defaultValue: number, minimum: number, description: string): KeySchema {
  return { type: 'integer', default: defaultValue, minimum, maximum: 86_400, description }
}

function switchedOff(description: string): KeySchema {
  return { type: 'boolean', default: false, description }
}

function addressRanges(description: string): KeySchema {
  return {
    type: 'array',
    items: { type: 'string', format: 'cidr' },
    default: [],
    allowed: 'a list of address ranges, as ["10.0.0.0/8", "fd00::/8"]',
    description,
  }
}

function listening(
  address: string,
  ipv6Address: string,
  more = '',
): Readonly<Record<'enabled' | 'bind_address', KeySchema>> {
  return {
    enabled: { type: 'boolean', default: true, description: 'Whether to listen on this address.' },
    bind_address: {
      type: 'string',
      format: 'bind-address',
      default: address,
      allowed: `an address and a port, as ${address} or ${ipv6Address}`,
      description: `Address and port, an IPv6 address in brackets${more}. Port 0 takes a free one.`,
    },
  }
}

function pemFile(description: string): KeySchema {
  return { type: 'string', default: '', allowed: 'the path of a PEM file', description }
}

/** Keys of a server that may speak HTTPS. */
const TLS: Readonly<Record<string, KeySchema>> = {
  ssl: switchedOff('Speak HTTPS (TLS 1.2 and 1.3) on this address, and no HTTP.'),
  ssl_key: pemFile('The private key, without a passphrase. Needed with ssl.'),
  ssl_cert: pemFile(
    'The certificate for it, followed by those that vouch for it. Needed with ssl.',
  ),
}

const CONNECTIONS: Readonly<Record<string, KeySchema>> = {
  max_connections: {
    type: 'integer',
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Connections to this address in each worker process; the newest are closed within about a second (Linux). 0 does not limit.',
  },
}

/** Keys of a server that speaks HTTP. */
const BEHIND_PROXIES: Readonly<Record<string, KeySchema>> = {
  real_ip: {
    type: 'string',
    format: 'header-name',
    default: 'X-Real-IP',
    allowed: 'the name of a request header',
    description: 'Request header in which a trusted proxy tells the address of the client.',
  },
  trusted_proxies: addressRanges(
    'Address ranges of proxies whose real_ip header is believed. Empty: nobody is.',
  ),
  proxy_protocol: {
    type: 'boolean',
    default: false,
    description:
      'Take the address of the client from the PROXY protocol, version 2, where a trusted proxy speaks it. Needs trusted_proxies, and no ssl.',
  },
}

/**
 * Every section and key: the one source of defaults, validation, config.toml, docs/reference/config.md and environment names. A dot in a name
 * is a table within a table.
 */
export const SECTIONS: Readonly<Record<string, SectionSchema>> = {
  tracker_config: {
    description: 'What the tracker tells clients, and how long it remembers them.',
    list: false,
    environment: 'TRACKER__',
    restart: ['prometheus_id'],
    keys: {
      whitelist_enabled: switchedOff('Only torrents on the whitelist may be announced to.'),
      blacklist_enabled: switchedOff('Torrents on the blacklist may not be announced to.'),
      keys_enabled: switchedOff(
        'Clients must name a key of the tracker in the path, as /announce/KEY or /KEY/announce.',
      ),
      users_enabled: switchedOff(
        'Clients must name the key of a user in the path, behind the key if there is one; what they transfer is added to the user.',
      ),
      api_key: {
        type: 'string',
        format: 'api-key',
        default: '',
        secret: true,
        allowed: 'at least 32 characters, or "" for the one in api_key_file',
        description:
          'Token of the admin API. Where there is none, one is made at the first start and kept in api_key_file.',
      },
      api_key_file: {
        type: 'string',
        minLength: 1,
        default: 'data/api-key',
        allowed: 'the path of a file',
        description: 'Where the token is kept that was made; only its owner can read it.',
      },
      prometheus_id: {
        type: 'string',
        pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$',
        default: 'torrust_actix',
        allowed: 'letters, digits and underscores',
        description: 'How the names of the metrics begin that Torrust-Actix has too.',
      },
      swagger: switchedOff(
        'Serve the document of the API and Swagger UI, /swagger-ui/, to everybody.',
      ),
      keys_cleanup_interval: seconds(
        60,
        1,
        'Seconds between removals of keys that have ended. They are refused from the second they end.',
      ),
      request_interval: seconds(1800, 1, 'Seconds between the announces of a client.'),
      request_interval_minimum: seconds(
        1800,
        1,
        'Seconds that a client must at least wait between announces; not more than request_interval.',
      ),
      request_interval_jitter: {
        type: 'integer',
        default: 10,
        minimum: 0,
        maximum: 50,
        description:
          'Percent of request_interval added at random, so that clients do not come back in step. 0 adds nothing.',
      },
      websocket_interval: seconds(
        120,
        1,
        'Seconds between the announces of a WebTorrent client. Each brings it new peers, which it cannot be told of in another way.',
      ),
      peers_timeout: seconds(
        2700,
        1,
        'Seconds without an announce after which a peer is forgotten; more than request_interval with its jitter.',
      ),
      peers_cleanup_interval: seconds(
        900,
        1,
        'Seconds in which all peers are looked at once for the timeout, a few at a time.',
      ),
      numwant_default: {
        type: 'integer',
        default: 72,
        minimum: 1,
        maximum: NUMWANT_MAX,
        description: 'Peers in an answer when the client does not say how many it wants.',
      },
      numwant_maximum: {
        type: 'integer',
        default: 72,
        minimum: 1,
        maximum: NUMWANT_MAX,
        description: 'Peers in an answer at most.',
      },
    },
  },
  http_server: {
    description:
      'The HTTP tracker: /announce and /scrape. One table for each address to listen on.',
    list: true,
    environment: 'HTTP_',
    defaults: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
    keys: {
      ...listening('0.0.0.0:6969', '[::]:6969'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
      use_payload_ip: {
        type: 'boolean',
        default: false,
        description:
          'Believe the address that a client states in its announce (ip, ipv4, ipv6). Lets anyone enter any address.',
      },
      websocket: {
        type: 'boolean',
        default: true,
        description:
          'Serve the WebTorrent tracker too, ws:// on the same address, or wss:// where TLS is on.',
      },
    },
  },
  api_server: {
    description:
      'The admin API. One table for each address to listen on; api_server = [] serves none.',
    list: true,
    environment: 'API_',
    defaults: [{ bind_address: '127.0.0.1:8080' }],
    keys: {
      ...listening('127.0.0.1:8080', '[::1]:8080'),
      ...TLS,
      ...BEHIND_PROXIES,
      ...CONNECTIONS,
    },
  },
  udp_server: {
    description: 'The UDP tracker. One table for each address to listen on.',
    list: true,
    environment: 'UDP_',
    restart: [
      'enabled',
      'bind_address',
      'udp_threads',
      'receive_buffer_size',
      'send_buffer_size',
      'receive_method',
    ],
    defaults: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
    keys: {
      ...listening('0.0.0.0:6969', '[::]:6969', '; [::] takes no IPv4'),
      udp_threads: {
        type: 'integer',
        default: 1,
        minimum: 1,
        maximum: 64,
        description: 'Threads that receive on this address, each with a socket of its own.',
      },
      receive_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        description:
          'Bytes of a socket for what waits to be received; the kernel grants up to net.core.rmem_max. 0 keeps its default.',
      },
      send_buffer_size: {
        type: 'integer',
        default: 4_194_304,
        minimum: 0,
        maximum: 1_073_741_824,
        description:
          'Bytes of a socket for what waits to be sent; the kernel grants up to net.core.wmem_max. 0 keeps its default.',
      },
      receive_method: {
        type: 'string',
        enum: ['auto', 'recvmmsg', 'dgram'],
        default: 'auto',
        description:
          'How datagrams are received: recvmmsg, many at a time; dgram, one at a time, wherever Node runs, with one thread. auto takes the first that works.',
      },
      simple_proxy_protocol: {
        type: 'boolean',
        default: false,
        description:
          "Take the address of the client from the header of Cloudflare's Simple Proxy Protocol, where a trusted proxy sends one. Needs trusted_proxies.",
      },
      trusted_proxies: addressRanges(
        'Address ranges of proxies whose Simple Proxy Protocol is believed. Empty: nobody is.',
      ),
      use_payload_ip: {
        type: 'boolean',
        default: false,
        description:
          'Believe the IPv4 address that a client states in its announce. Lets anyone enter any address.',
      },
    },
  },
  engine: {
    description: 'The threads that keep the swarms, and their memory.',
    list: false,
    environment: 'ENGINE__',
    restart: 'all',
    keys: {
      threads: {
        type: 'integer',
        default: 1,
        minimum: 1,
        maximum: 64,
        description: 'Engine threads. One serves some 100,000 HTTP announces a second.',
      },
      memory: {
        type: 'string',
        format: 'size',
        default: '2 GiB',
        allowed: 'a size from 64 MiB to 64 GiB, as "2 GiB" or "512 MiB"',
        description:
          'Memory for swarms, about 100 bytes a peer. It is address space that is used as peers come; when it is full, the peers that announced longest ago make room.',
      },
    },
  },
  frontend: {
    description: 'The processes that talk HTTP.',
    list: false,
    environment: 'FRONTEND__',
    restart: 'all',
    keys: {
      workers: {
        type: ['integer', 'string'],
        anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 0, maximum: 256 }],
        default: 'auto',
        allowed: '"auto", or a whole number from 0 to 256',
        description:
          'Worker processes. "auto" is the processors that the engine threads leave, at least 1; 0 serves from one single process.',
      },
    },
  },
  limits: LIMITS_SECTION,
  ...DATABASE_SECTIONS,
  snapshot: {
    description:
      'The swarms on disk: written from time to time and at the end, read at the start while the tracker serves.',
    list: false,
    environment: 'SNAPSHOT__',
    restart: ['enabled', 'path'],
    keys: {
      enabled: {
        type: 'boolean',
        default: true,
        description: 'Whether swarms outlive a restart.',
      },
      path: {
        type: 'string',
        minLength: 1,
        default: 'data/swarm.snapshot',
        allowed: 'the path of a file',
        description: 'The file; the one before is kept beside it as FILE.previous.',
      },
      interval: seconds(900, 10, 'Seconds between snapshots.'),
    },
  },
  log: {
    description: 'JSON lines on standard output.',
    list: false,
    environment: 'LOG__',
    keys: {
      level: {
        type: 'string',
        enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
        default: 'info',
        description: 'What is logged. A request is never logged at info.',
      },
    },
  },
}

type TableSchema = {
  readonly type: 'object'
  readonly additionalProperties: false
  readonly default?: object
  readonly properties: Record<string, object>
}

function tableSchema(properties: Record<string, object>): TableSchema {
  return { type: 'object', additionalProperties: false, properties }
}

/** The JSON schema that ajv checks a configuration with, and fills its defaults from. */
export function jsonSchema(): object {
  const root = tableSchema({})
  for (const [name, section] of Object.entries(SECTIONS)) {
    const table = tableSchema(
      Object.fromEntries(
        Object.entries(section.keys).map(([key, { description, allowed, secret, ...schema }]) => [
          key,
          schema,
        ]),
      ),
    )
    const [last = name, ...outer] = name.split('.').reverse()
    let parent = root
    for (const part of outer.reverse()) {
      parent.properties[part] ??= { ...tableSchema({}), default: {} }
      parent = parent.properties[part] as TableSchema
    }
    parent.properties[last] = section.list
      ? { type: 'array', items: table, default: section.defaults }
      : { ...table, default: {} }
  }
  return root
}

/** The section that a path of names, indices left out, begins with, and what of the path is left. */
export function sectionAt(
  path: readonly string[],
): { readonly section: SectionSchema; readonly rest: readonly string[] } | undefined {
  for (let length = path.length; length > 0; length--) {
    const section = SECTIONS[path.slice(0, length).join('.')]
    if (section) return { section, rest: path.slice(length) }
  }
  return undefined
}

/** What may stand below a path that no section begins: the names of sections, one part each. */
export function sectionNamesAt(path: readonly string[]): string[] {
  const prefix = path.map(part => `${part}.`).join('')
  const below = Object.keys(SECTIONS).filter(name => name.startsWith(prefix))
  return [...new Set(below.map(name => name.slice(prefix.length).split('.')[0] ?? ''))]
}
