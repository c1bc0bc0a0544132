import { type SectionSchema, switchedOn } from './key-schema.ts'

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
    max_rate: {
      type: 'integer',
      default: 0,
      minimum: 0,
      maximum: 1_000_000_000_000_000,
      unit: 'bytes per second',
      description:
        'Credit at most this much upload, and download, per second of a session. The excess is not credited and the user is flagged. 0 means no limit.',
    },
    suspicious_rate: {
      type: 'integer',
      default: 12_500_000_000,
      minimum: 0,
      maximum: 1_000_000_000_000_000,
      unit: 'bytes per second',
      description:
        'Flag the user of a session whose counts grow faster than this; the default is 100 Gbit/s. 0 flags only sessions that exceed max_rate.',
    },
    credit_idle_upload: switchedOn(
      'Credit upload that is reported while the torrent has no leecher. It is counted separately in any case.',
    ),
  },
} as const satisfies SectionSchema
