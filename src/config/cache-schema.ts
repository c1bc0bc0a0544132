import { type SectionSchema, switchedOff } from './key-schema.ts'

/** Counts of torrents for websites, in the form of Torrust-Actix. */
export const CACHE_SECTION = {
  description:
    'A Redis, Valkey or Memcached server that receives the counts of torrents, for websites. The tracker itself reads nothing from it.',
  list: false,
  environment: 'CACHE__',
  restart: 'all',
  keys: {
    enabled: switchedOff('Write counts to the cache, also with database.persistent = false.'),
    engine: {
      type: 'string',
      enum: ['redis', 'memcache'],
      default: 'redis',
      description: 'Kind of server: redis, also for Valkey, or memcache.',
    },
    address: {
      type: 'string',
      format: 'cache-address',
      default: '127.0.0.1:6379',
      allowed:
        'the address of a cache, such as "127.0.0.1:6379", "rediss://USER:PASSWORD@cache.example.org:6380/0" or "127.0.0.1:11211"',
      description:
        'Address of the server: HOST:PORT, with USER:PASSWORD@ before it for a login and /NUMBER after it for a Redis database. rediss:// before it encrypts the connection; ?ca=FILE after it names the certificate of a private authority. The password is masked wherever the configuration is printed.',
    },
    prefix: {
      type: 'string',
      pattern: '^[!-~]{0,200}$',
      default: 'tracker:',
      allowed: 'at most 200 printable ASCII characters without spaces',
      description:
        'Beginning of all names. The entry of a torrent is named PREFIXt:HASH, with the info hash in hexadecimal digits.',
    },
    ttl: {
      type: 'integer',
      default: 300,
      minimum: 0,
      maximum: 2_592_000,
      unit: 'seconds',
      description:
        'Seconds until an entry expires. Torrents with peers are written again within half of this time. 0 means that entries do not expire.',
    },
    split_peers: switchedOff(
      'Write seven counts (seeders and leechers over IPv4, IPv6 and WebRTC, and completed downloads) instead of three.',
    ),
  },
} as const satisfies SectionSchema
