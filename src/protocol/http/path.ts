import { type Bytes, copyHex } from '../bytes.ts'
import { Failure } from '../failures.ts'
import { KEY_DIGITS, KEY_PATTERN, type KeyFormat, readKey } from '../key.ts'
import { HASH_BYTES, Kind } from '../records.ts'

/** Where a request has its keys, and which it must have: a key of the tracker, one of a user. */
export type PathRules = {
  readonly keys: boolean
  readonly users: boolean
  /** Whether scrapes need no key, and none is read. */
  readonly anonymousScrape?: boolean
  /** Whether an announce must have the key of a user, where users are on. Default true. */
  readonly usersRequired?: boolean
  /** Whether a scrape must have keys. If false, keys that it has are checked. Default true. */
  readonly scrapeNeedsKey?: boolean
  /**
   * Paths of announces, such as `/announce`. One without placeholders also stands before or behind
   * one or two keys. `{key}` and `{user_key}` fix their places.
   */
  readonly announcePaths?: readonly string[]
  readonly scrapePaths?: readonly string[]
  /** Parameters of the query with the keys; empty for none. */
  readonly keyParameter?: string
  readonly userKeyParameter?: string
  readonly keyFormat?: KeyFormat
}

export const ANNOUNCE_PATHS = ['/announce']
export const SCRAPE_PATHS = ['/scrape']

/** A form of path: a regular expression, and the places of the keys among its groups. */
type Form = {
  readonly kind: Kind
  readonly pattern: RegExp
  /** Groups of the two keys; 0 for a form without. */
  readonly key: number
  readonly userKey: number
}

/**
 * Rules of paths, compiled once for each listener. Not thread-safe and not cloneable: every thread
 * compiles its own.
 */
export class TrackerPaths {
  readonly rules: PathRules
  /** Paths without keys, which a server can route to at once. */
  readonly literals: readonly (readonly [path: string, kind: Kind])[]
  readonly #forms: readonly Form[]
  readonly #format: KeyFormat
  readonly #keyParameter: string
  readonly #userKeyParameter: string
  /** Bytes after the key in the common form of an announce path; undefined if there is none. */
  readonly #afterKey: Buffer | undefined
  /** The path that was matched last, and what was found in it. */
  #path = ''
  #kind: Kind | 0 = 0
  #key: string | undefined
  #userKey: string | undefined

  constructor(rules: PathRules) {
    this.rules = rules
    this.#format = rules.keyFormat ?? 'hex'
    this.#keyParameter = rules.keyParameter ?? ''
    this.#userKeyParameter = rules.userKeyParameter ?? ''
    const paths = [
      ...(rules.announcePaths ?? ANNOUNCE_PATHS).map(path => [path, Kind.announce] as const),
      ...(rules.scrapePaths ?? SCRAPE_PATHS).map(path => [path, Kind.scrape] as const),
    ]
    this.literals = paths.filter(([path]) => !path.includes('{'))
    this.#forms = paths.flatMap(([path, kind]) => formsOf(path, kind, this.#format))
    const first = (rules.announcePaths ?? ANNOUNCE_PATHS)[0] ?? '{'
    const hasOneKey = rules.keys !== rules.users
    this.#afterKey = hasOneKey && !first.includes('{') ? Buffer.from(first) : undefined
  }

  /** The kind of request of a path, 0 for any other path. A query may follow. */
  kindOf(path: string): Kind | 0 {
    this.#match(path)
    return this.#kind
  }

  /**
   * Writes the keys of an announce, from its path or else from its query, to `keyAt` and
   * `userKeyAt`. Only the keys that the rules ask for are read. A key that may be absent, and is,
   * becomes 20 zero bytes. Where the rules ask for one key and the path has two, the tracker's is
   * the first and the user's the last.
   */
  readAnnounceKeys(
    path: string,
    query: string | undefined,
    into: Bytes,
    keyAt: number,
    userKeyAt: number,
  ): Failure {
    if (!this.rules.keys && !this.rules.users) return Failure.none
    this.#match(path)
    return this.#readKeys(false, query, into, keyAt, userKeyAt)
  }

  /**
   * Reads the key of an announce whose path and query are the bytes from `at` to `end` of `from`,
   * if the path has the common form, such as `/KEY/announce` with a key of 40 digits. Does not
   * create strings. Returns false for another path, which `readAnnounceKeys` reads.
   */
  readCommonPath(
    from: Bytes,
    { at, end }: { readonly at: number; readonly end: number },
    into: Bytes,
    keyAt: number,
    userKeyAt: number,
  ): boolean {
    const after = this.#afterKey
    const afterAt = at + 1 + KEY_DIGITS
    const { u8 } = from
    if (!after || afterAt + after.length > end || u8[at] !== SLASH) return false
    const pathEnd = afterAt + after.length
    if (pathEnd !== end && u8[pathEnd] !== QUESTION_MARK) return false
    for (let n = 0; n < after.length; n++) if (u8[afterAt + n] !== after[n]) return false
    return copyHex(from.view, at + 1, KEY_DIGITS, into.view, this.rules.keys ? keyAt : userKeyAt)
  }

  /** The same for a scrape, which may need fewer keys. */
  readScrapeKeys(
    path: string,
    query: string | undefined,
    into: Bytes,
    keyAt: number,
    userKeyAt: number,
  ): Failure {
    if (this.rules.anonymousScrape) return Failure.none
    this.#match(path)
    return this.#readKeys(this.rules.scrapeNeedsKey === false, query, into, keyAt, userKeyAt)
  }

  #readKeys(
    areOptional: boolean,
    query: string | undefined,
    into: Bytes,
    keyAt: number,
    userKeyAt: number,
  ): Failure {
    const { keys, users, usersRequired = true } = this.rules
    if (keys) {
      const text = this.#key ?? parameter(query, this.#keyParameter)
      const failure = this.#read(text, areOptional, into, keyAt, Failure.invalidKey)
      if (failure !== Failure.none) return failure
    }
    if (!users) return Failure.none
    const text =
      this.#userKey ??
      (keys ? undefined : this.#key) ??
      parameter(query, this.#userKeyParameter) ??
      (keys ? undefined : parameter(query, this.#keyParameter))
    const mayLack = areOptional || !usersRequired
    return this.#read(text, mayLack, into, userKeyAt, Failure.invalidUserKey)
  }

  #read(
    text: string | undefined,
    mayLack: boolean,
    { u8 }: Bytes,
    at: number,
    invalid: Failure,
  ): Failure {
    if (text !== undefined) return readKey(text, this.#format, u8, at, invalid)
    if (!mayLack) return Failure.missingKey
    u8.fill(0, at, at + HASH_BYTES)
    return Failure.none
  }

  #match(whole: string): void {
    if (whole === this.#path) return
    this.#path = whole
    this.#kind = 0
    this.#key = undefined
    this.#userKey = undefined
    const path = plain(whole)
    for (const { kind, pattern, key, userKey } of this.#forms) {
      const found = pattern.exec(path)
      if (!found) continue
      this.#kind = kind
      this.#key = key === 0 ? undefined : found[key]
      this.#userKey = userKey === 0 ? undefined : found[userKey]
      return
    }
  }
}

const SLASH = 0x2f
const QUESTION_MARK = 0x3f

/** The path without its query, with one slash before each part. */
function plain(path: string): string {
  const query = path.indexOf('?')
  const text = query === -1 ? path : path.slice(0, query)
  if (text.startsWith('/') && !text.includes('//') && !text.endsWith('/')) return text
  return `/${text
    .split('/')
    .filter(part => part !== '')
    .join('/')}`
}

/** Whether a text can be one of `announcePaths` or `scrapePaths`. */
export function isTrackerPath(path: string): boolean {
  const isPath = /^(\/([\w.~-]|\{key\}|\{user_key\})+)+$/.test(path)
  return isPath && ['{key}', '{user_key}'].every(place => path.split(place).length <= 2)
}

const PART = '([^/]+)'

/**
 * The forms of one configured path. `/announce` stands for `/announce`, `/KEY/announce`,
 * `/KEY/USERKEY/announce`, `/announce/KEY`, `/announce/KEY/USERKEY` and for `/KEY/USERKEYannounce`,
 * which is the form of Torrust-Actix.
 */
function formsOf(path: string, kind: Kind, format: KeyFormat): Form[] {
  if (path.includes('{')) return [formWithPlaces(path, kind)]
  const text = escaped(path)
  const form = (pattern: string): Form => ({
    kind,
    pattern: new RegExp(`^${pattern}$`),
    key: 1,
    userKey: 2,
  })
  const joined = `/${PART}/(${KEY_PATTERN[format]})${text.slice(1)}`
  return [
    form(`(?:/${PART}(?:/${PART})?)?${text}`),
    form(`${text}/${PART}(?:/${PART})?`),
    ...(path.lastIndexOf('/') === 0 ? [form(joined)] : []),
  ]
}

function formWithPlaces(path: string, kind: Kind): Form {
  const places = [...path.matchAll(/\{(key|user_key)\}/g)].map(([, name]) => name)
  const text = path.split(/\{(?:key|user_key)\}/).map(escaped)
  return {
    kind,
    pattern: new RegExp(`^${text.join(PART)}$`),
    key: places.indexOf('key') + 1,
    userKey: places.indexOf('user_key') + 1,
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Value of a parameter in a query, with its name in any case; undefined where there is none. */
function parameter(query: string | undefined, name: string): string | undefined {
  if (!query || name === '') return undefined
  const start = valueStart(query, name)
  if (start === -1) return undefined
  const value = query.slice(start)
  const end = value.search(/[&?]/)
  const text = end === -1 ? value : value.slice(0, end)
  if (text === '') return undefined
  return text.includes('%') ? unescaped(text) : text
}

/** Offset of the first value of a parameter; -1 where there is none. */
function valueStart(query: string, name: string): number {
  if (query.startsWith(`${name}=`)) return name.length + 1
  const at = query.indexOf(`&${name}=`)
  if (at !== -1) return at + name.length + 2
  const odd = new RegExp(`(?:^|&)${escaped(name)}=`, 'i').exec(query)
  return odd ? odd.index + odd[0].length : -1
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
