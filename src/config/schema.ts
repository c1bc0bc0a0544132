import { NUMWANT_MAX } from '../protocol/limits.ts'
import { DATABASE_SECTIONS } from './database-schema.ts'
import { type SectionSchema, seconds, switchedOff } from './key-schema.ts'
import { LIMITS_SECTION } from './limits-schema.ts'
import { SERVER_SECTIONS } from './server-schemas.ts'

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
  ...SERVER_SECTIONS,
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
      huge_pages: switchedOff(
        'Ask the kernel for pages of 2 MiB for that memory (Linux): announces among millions of peers take less time, and a little more memory is used. A warning is logged where they cannot be had.',
      ),
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
