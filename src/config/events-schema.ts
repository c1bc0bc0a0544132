import {
  type KeySchema,
  type SectionSchema,
  type StringKey,
  seconds,
  switchedOff,
} from './key-schema.ts'

export const EVENT_KINDS = ['started', 'completed', 'stopped', 'flagged', 'credited'] as const

/** The address of a server, which may have a password in it. */
function address(scheme: string, description: string): StringKey & { readonly secret: true } {
  return {
    type: 'string',
    pattern: `^(${scheme}://[^\\s]+)?$`,
    default: '',
    secret: true,
    allowed: `a URL that begins with ${scheme.replace('s?', '')}:// or "" for none`,
    description,
  }
}

function name(defaultValue: string, pattern: string, allowed: string, description: string) {
  return {
    type: 'string',
    pattern,
    default: defaultValue,
    allowed,
    description,
  } as const satisfies KeySchema
}

/** Events that the tracker reports to other programs of the site. */
export const EVENTS_SECTION = {
  description:
    'Events for the site: each started, completed, stopped and flagged announce, and what is credited to each user, as JSON lines. They are sent to each receiver whose URL is set, at least once, in order. Announces never wait for them.',
  list: false,
  environment: 'EVENTS__',
  restart: 'all',
  keys: {
    kinds: {
      type: 'array',
      items: { type: 'string', format: 'event-kind' },
      default: [...EVENT_KINDS],
      allowed: `a list of ${EVENT_KINDS.map(kind => `"${kind}"`).join(', ')}`,
      description: 'Kinds of events that are sent.',
    },
    queue: {
      type: 'integer',
      default: 100_000,
      minimum: 1000,
      maximum: 10_000_000,
      unit: 'events',
      description:
        'Maximum number of events that wait for a receiver, about 400 bytes of memory each. When the receiver is unreachable and the queue is full, new events are dropped and counted.',
    },
    batch: {
      type: 'integer',
      default: 500,
      minimum: 1,
      maximum: 10_000,
      unit: 'events',
      description: 'Maximum number of events in one request.',
    },
    delay: seconds(1, 0, 'Seconds that an event may wait for others to be sent with it.'),
    timeout: seconds(
      10,
      1,
      'Seconds that a receiver may take for a batch. Then the batch is sent again, after 0.5 seconds at first, and after up to one minute when it fails repeatedly.',
    ),
    spool: {
      type: 'string',
      minLength: 1,
      default: 'data/events',
      allowed: 'the path of a file',
      description:
        'Beginning of the paths of the files, one for each receiver, that store events which could not be sent before the tracker stopped. These events are sent after the next start.',
    },
    webhook_url: address(
      'https?',
      'URL that batches are sent to with POST, as lines of JSON (application/x-ndjson). Any status from 200 to 299 means that the batch was received. Redirects are not followed.',
    ),
    webhook_secret: {
      type: 'string',
      default: '',
      secret: true,
      allowed: 'a string',
      description:
        'Key of the signature in the header x-muster-signature, t=TIME,v1=DIGEST: the hexadecimal HMAC-SHA256 of the text TIME.BODY. "" sends no signature.',
    },
    nats_url: address(
      '(nats|tls)',
      'Address of a NATS server, such as nats://USER:PASSWORD@127.0.0.1:4222.',
    ),
    nats_subject: name(
      'muster.events',
      '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$',
      'a subject without wildcards, such as "muster.events"',
      'Subject of the messages, one for each event.',
    ),
    nats_jetstream: switchedOff(
      'Wait until a JetStream stream has stored each event. With false, an event counts as sent once the server has received it, and a subscriber that is not connected misses it.',
    ),
    redis_url: address(
      'rediss?',
      'Address of a Redis or Valkey server, such as redis://USER:PASSWORD@127.0.0.1:6379/0, or rediss:// for TLS.',
    ),
    redis_stream: name(
      'muster:events',
      '^[!-~]{1,200}$',
      'a name of visible ASCII characters',
      'Key of the stream. Each entry has the field event.',
    ),
    redis_length: {
      type: 'integer',
      default: 1_000_000,
      minimum: 0,
      maximum: 1_000_000_000,
      unit: 'events',
      description:
        'Length that the stream is trimmed to, approximately (XADD MAXLEN ~). 0 does not trim it.',
    },
  },
} as const satisfies SectionSchema
