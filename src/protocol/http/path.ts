import type { Bytes } from '../bytes.ts'
import { Failure } from '../failures.ts'
import { HASH_BYTES, Kind } from '../records.ts'

/** Which keys a path must name: the operator's, and the user's. */
export type PathRules = { readonly keys: boolean; readonly users: boolean }

/** Of a key in hex. */
const KEY_DIGITS = HASH_BYTES * 2

/** More parts than `/key/userkey/announce` has are of no path of ours. */
const PARTS_MAX = 3

/**
 * What a path asks for: `/announce` or `/scrape`, alone, behind one or two keys (`/key/userkey/announce`) or before them
 * (`/announce/key/userkey`). 0 for anything else. A query may follow.
 */
export function pathKind(path: string): Kind | 0 {
  const parts = partsOf(path)
  if (parts.length < 1 || parts.length > PARTS_MAX) return 0
  return kindOf(parts[0]) || kindOf(parts[parts.length - 1])
}

/**
 * Writes the keys that the path names to the record: `keyAt`, and `userKeyAt`. Only those are looked at that the rules ask for; where a single
 * one is asked for and two are named, the operator's is the first and the user's the last.
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
  for (let n = 0; n < HASH_BYTES; n++) {
    const high = digit(text.charCodeAt(n * 2))
    const low = digit(text.charCodeAt(n * 2 + 1))
    if (high === -1 || low === -1) return Failure.undecodableKey
    into.u8[at + n] = (high << 4) | low
  }
  return Failure.none
}

/** Value of a hex digit of either case, -1 for anything else. */
function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1
}
