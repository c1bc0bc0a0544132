import { type Bytes, readHex } from '../bytes.ts'
import { Failure } from '../failures.ts'
import { HASH_BYTES, Kind } from '../records.ts'

/** The keys that a path must contain: a key of the tracker, a key of a user. */
export type PathRules = {
  readonly keys: boolean
  readonly users: boolean
  /** Whether scrapes need no key. */
  readonly anonymousScrape?: boolean
}

/** Hex digits of a key. */
const KEY_DIGITS = HASH_BYTES * 2

/** Segments of the longest path, `/key/userkey/announce`. */
const PARTS_MAX = 3

/**
 * The kind of request of a path: `/announce` or `/scrape`, alone, after one or two keys
 * (`/key/userkey/announce`) or before them (`/announce/key/userkey`). 0 for anything else. A query
 * may follow.
 */
export function pathKind(path: string): Kind | 0 {
  const parts = partsOf(path)
  if (parts.length < 1 || parts.length > PARTS_MAX) return 0
  return kindOf(parts[0]) || kindOf(parts[parts.length - 1])
}

/**
 * Writes the keys of the path to the record, at `keyAt` and `userKeyAt`. Only the keys that the
 * rules require are read. If the rules require one and the path has two, the tracker's key is the
 * first and the user's the last.
 */
export function parsePathKeys(
  path: string,
  rules: PathRules,
  into: Bytes,
  keyAt: number,
  userKeyAt: number,
): Failure {
  if (!rules.keys && !rules.users) return Failure.none
  const parts = partsOf(path)
  const keys = kindOf(parts[0]) ? parts.slice(1) : parts.slice(0, -1)
  if (rules.keys) {
    const failure = parseKey(keys[0], into, keyAt, Failure.invalidKey)
    if (failure !== Failure.none) return failure
  }
  if (!rules.users) return Failure.none
  const userKey = rules.keys ? keys[1] : keys.at(-1)
  return parseKey(userKey, into, userKeyAt, Failure.invalidUserKey)
}

function partsOf(path: string): string[] {
  const query = path.indexOf('?')
  return (query === -1 ? path : path.slice(0, query)).split('/').filter(part => part !== '')
}

function kindOf(part: string | undefined): Kind | 0 {
  if (part === 'announce') return Kind.announce
  return part === 'scrape' ? Kind.scrape : 0
}

function parseKey(text: string | undefined, into: Bytes, at: number, invalid: Failure): Failure {
  if (text === undefined) return Failure.missingKey
  if (text.length !== KEY_DIGITS) return invalid
  return readHex(text, into.u8, at) ? Failure.none : Failure.undecodableKey
}
