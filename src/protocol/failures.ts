/** When a refused client should retry: the kind decides its intervals (BEP 31). */
export type Retry = 'never' | 'long' | 'short'

type Row = readonly [name: string, text: string, retry: Retry, torrustActix?: string]

/**
 * Every failure, in order of its code: its name, the text that the client's user reads, when to
 * retry, and Torrust-Actix's text where it differs. Tools that clean up clients remove torrents
 * whose failure contains `unregistered`, `not registered` or `unknown`, so only the failure of an
 * unlisted torrent may contain these words. `never` is for requests that cannot succeed unless the
 * client changes.
 */
const TABLE = [
  ['none', '', 'short'],
  ['missingInfoHash', 'missing info_hash', 'never'],
  ['invalidInfoHash', 'invalid info_hash size', 'never'],
  ['missingPeerId', 'missing peer_id', 'never'],
  ['invalidPeerId', 'invalid peer_id size', 'never'],
  ['invalidPort', 'missing or invalid port', 'never'],
  ['invalidEncoding', 'info_hash or peer_id is not percent-encoded', 'never'],
  ['duplicateParameter', 'duplicate info_hash, peer_id or port', 'never'],
  ['queryTooLong', 'query too long', 'never'],
  ['tooManyHashes', 'too many info_hash in scrape', 'never'],
  ['unknownOrigin', 'the proxy did not send your address', 'short', 'unknown origin ip'],
  ['unavailable', 'tracker temporarily unavailable', 'short'],
  ['overloaded', 'tracker overloaded', 'short'],
  ['missingKey', 'missing key', 'never'],
  ['invalidKey', 'invalid key: wrong length or characters', 'never', 'invalid key'],
  ['undecodableKey', 'invalid key: not hexadecimal', 'never', 'unable to decode hex string'],
  ['unknownKey', 'invalid or expired key', 'long', 'unknown key'],
  ['invalidUserKey', 'invalid user key: wrong length or characters', 'never', 'invalid user key'],
  ['unknownUserKey', 'invalid user key', 'long', 'unknown user key'],
  ['inactiveUser', 'user is not active', 'long'],
  ['notWhitelisted', 'unregistered torrent', 'short', 'unknown info_hash'],
  ['blacklisted', 'unregistered torrent (blacklisted)', 'long', 'forbidden info_hash'],
  ['tooManyAnnounces', 'too many announces from your address', 'short'],
  ['tooManyTorrents', 'tracker is full: no new torrents accepted', 'long'],
  ['tooManyPeers', 'too many peers from your address in this torrent', 'short'],
  ['tooManyUserPeers', 'your account has too many clients in this torrent', 'long'],
  ['tooManyDownloads', 'your account may not download more torrents at once', 'long'],
  ['addressShare', 'your network has too many peers on this tracker', 'long'],
  ['outOfMemory', 'tracker is full: no new peers accepted', 'short'],
  ['privateAddress', 'your address is private or reserved; other peers cannot reach it', 'long'],
  ['privilegedPort', 'port below 1024 is not allowed', 'never'],
  ['portZero', 'port 0 is not allowed', 'never'],
  ['blacklistedClient', 'your client is not allowed here (client_blacklist)', 'never'],
  ['unlistedClient', 'your client is not among those allowed here (client_whitelist)', 'never'],
  ['invalidJson', 'invalid JSON', 'never'],
  ['invalidAction', 'invalid action', 'never'],
  ['invalidOffers', 'invalid offers', 'never'],
  ['invalidAnswer', 'invalid answer, offer_id or to_peer_id', 'never'],
  ['tooManyOnConnection', 'too many torrents on one connection', 'long'],
  ['tooManyMessages', 'too many messages on one connection: this one is dropped', 'short'],
  ['descriptionTooLong', 'session description too long', 'never'],
  // RtcTorrent clients look for the name in the text, and then do without WebRTC.
  ['rtctorrentDisabled', 'rtctorrent not enabled', 'never'],
] as const satisfies readonly Row[]

type Rows = typeof TABLE
type Codes = {
  readonly [I in keyof Rows as Rows[I] extends Row
    ? Rows[I][0]
    : never]: I extends `${infer Code extends number}` ? Code : never
}

/** The reason why a request failed. Codes are local to one build and its threads. */
export const Failure = Object.fromEntries(TABLE.map(([name], code) => [name, code])) as Codes
export type FailureName = keyof Codes
export type Failure = Codes[FailureName]

/** Names as the configuration writes them: `too_many_announces`. */
export const FAILURE_KEYS: readonly string[] = TABLE.slice(1).map(([name]) => keyOf(name))

function keyOf(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

/** Characters of the longest text: an answer to a failed request is of bounded length. */
export const FAILURE_TEXT_CHARACTERS_MAX = 200

/** The settings of an operator for failures. */
export type FailureSettings = {
  /** Use the texts of Torrust-Actix where they differ. */
  readonly torrustActix?: boolean
  /** Seconds after which a client retries, by the kind of the failure. */
  readonly shortInterval?: number
  readonly longInterval?: number
  /** By FAILURE_KEYS: texts and seconds that replace those of the table. */
  readonly texts?: Readonly<Record<string, string>>
  readonly intervals?: Readonly<Record<string, number>>
}

/** The answer that a client receives. */
export type FailureAnswer = {
  readonly text: string
  /** Seconds until the client should retry. */
  readonly interval: number
  readonly retry: Retry
}
/** Answers by code. They can be cloned. */
export type FailureAnswers = readonly FailureAnswer[]

export function failureAnswers(settings: FailureSettings = {}): FailureAnswers {
  const { torrustActix = false, shortInterval = 300, longInterval = 1800 } = settings
  return TABLE.map(([name, text, retry, original]: Row) => ({
    text: settings.texts?.[keyOf(name)] ?? (torrustActix ? (original ?? text) : text),
    interval:
      settings.intervals?.[keyOf(name)] ?? (retry === 'short' ? shortInterval : longInterval),
    retry,
  }))
}

export const STANDARD_ANSWERS = failureAnswers()

const INTERNAL_ERROR: FailureAnswer = {
  text: 'internal tracker error',
  interval: 1800,
  retry: 'long',
}

/** The answer of a code; a code that is not in the table is a bug, and still has an answer. */
export function failureAnswer(answers: FailureAnswers, code: number): FailureAnswer {
  return code === Failure.none ? INTERNAL_ERROR : (answers[code] ?? INTERNAL_ERROR)
}

/** The standard text of a code, for logs and metrics. */
export function failureText(code: number): string {
  return failureAnswer(STANDARD_ANSWERS, code).text
}
