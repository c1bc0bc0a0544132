import { FAILURE_KEYS, FAILURE_TEXT_CHARACTERS_MAX } from '../protocol/failures.ts'
import {
  type NumberTableKey,
  type SectionSchema,
  seconds,
  type TextTableKey,
} from './key-schema.ts'

const NAMES = `names of failures: ${FAILURE_KEYS.join(', ')}`

const texts: TextTableKey = {
  type: 'object',
  propertyNames: { enum: FAILURE_KEYS },
  additionalProperties: { type: 'string', pattern: `^[ -~]{1,${FAILURE_TEXT_CHARACTERS_MAX}}$` },
  default: {},
  allowed: `a table of ASCII texts of 1 to ${FAILURE_TEXT_CHARACTERS_MAX} characters, such as { not_whitelisted = "not on this tracker" }`,
  description: `Texts that replace the standard ones, by ${NAMES}.`,
}

const intervals: NumberTableKey = {
  type: 'object',
  propertyNames: { enum: FAILURE_KEYS },
  additionalProperties: { type: 'integer', minimum: 1, maximum: 86_400 },
  default: {},
  allowed: 'a table of whole numbers of seconds between 1 and 86400, such as { overloaded = 60 }',
  description:
    'Seconds that replace short_interval or long_interval, by the same names of failures.',
}

/** The answers to refused requests. */
export const FAILURES_SECTION = {
  description:
    'The answers to refused requests: the text that the user of the client reads, and when the client should try again (`interval`, `min interval` and `retry in` over HTTP and WebSocket).',
  list: false,
  environment: 'FAILURES__',
  keys: {
    short_interval: seconds(
      300,
      1,
      'Seconds after which a client retries when the cause may be temporary: an unregistered torrent, a rate limit, overload.',
    ),
    long_interval: seconds(
      1800,
      1,
      'Seconds after which a client retries for other causes, such as an expired key or a blacklisted torrent.',
    ),
    texts,
    intervals,
  },
} satisfies SectionSchema
