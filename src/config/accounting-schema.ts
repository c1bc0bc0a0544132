import { type IntegerKey, type SectionSchema, switchedOn } from './key-schema.ts'

/** A rate of a session; the default is 100 Gbit/s. */
function rate(description: string): IntegerKey {
  return {
    type: 'integer',
    default: 12_500_000_000,
    minimum: 0,
    maximum: 1_000_000_000_000_000,
    unit: 'bytes per second',
    description,
  }
}

/** The rules of users' credit. */
export const ACCOUNTING_SECTION = {
  description:
    'How transferred bytes are credited to users, if tracker_config.users_enabled is set. A session is one client of a user in one torrent, whatever its addresses.',
  list: false,
  environment: 'ACCOUNTING__',
  restart: ['sessions', 'session_ttl'],
  keys: {
    sessions: {
      type: 'integer',
      default: 1_000_000,
      minimum: 1000,
      maximum: 50_000_000,
      unit: 'sessions',
      description:
        'Maximum number of remembered sessions, 256 bytes of memory each. When all are in use, the one that announced longest ago is evicted.',
    },
    session_ttl: {
      type: 'integer',
      default: 259_200,
      minimum: 3600,
      maximum: 7_776_000,
      unit: 'seconds',
      description:
        'How long a session is remembered after its last announce. A client that announces again within this time is credited with everything that it transferred meanwhile.',
    },
    max_rate: rate(
      'Credit at most this much upload, and download, per second of a session, on average; the default is 100 Gbit/s. The excess is not credited and the user is flagged. 0 means no limit.',
    ),
    max_rate_burst: {
      type: 'integer',
      default: 22_600,
      minimum: 1,
      maximum: 2_592_000,
      unit: 'seconds',
      description:
        'How far a session may be ahead of max_rate, in seconds. Clients report late, or several times within a second. With the defaults, 282 TB are credited at once, and 100 Gbit/s from then on.',
    },
    suspicious_rate: rate(
      'Flag the user of a session whose counts grow faster than this; the default is 100 Gbit/s. 0 flags only sessions that exceed max_rate.',
    ),
    peers_per_user: {
      type: 'integer',
      default: 3,
      minimum: 0,
      maximum: 1000,
      unit: 'peers',
      description:
        'Clients that a user may have in one torrent. A further client is credited, but receives a failure instead of peers. A client that is in the torrent already can always announce. 0 means no limit.',
    },
    downloads_per_user: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000,
      unit: 'torrents',
      description:
        'Torrents that a user may download at once. A client in a further torrent is credited, but receives a failure instead of peers. Seeding is not limited. 0 means no limit.',
    },
    credit_idle_upload: switchedOn(
      'Credit upload that is reported while the torrent does not have a leecher. This upload is counted separately in any case.',
    ),
  },
} as const satisfies SectionSchema
