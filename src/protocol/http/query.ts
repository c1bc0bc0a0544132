import { HEX_DIGITS } from '../bytes.ts'
import { isDigit, isMapped, isZero, MAPPED_AT, readIpv4, readIpv6 } from '../ip.ts'
import { ADDRESS_TEXT_BYTES_MAX, QUERY_BYTES_MAX, TRANSFER_BYTES_MAX } from '../limits.ts'
import { Event, Family, type IpFamily } from '../records.ts'

/**
 * Reads the query of one request, parameter by parameter: `openQuery`, then `nextName` until it
 * returns Name.end; after each name, exactly one reader of its value. One query at a time.
 */

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const ZERO = 0x30
const COLON = 0x3a
const QUESTION_MARK = 0x3f
const BRACKET = 0x5b
const BRACKET_END = 0x5d

/**
 * The parameters that the tracker uses. All others (`key`, `trackerid`, `supportcrypto`, `corrupt`,
 * …) are skipped.
 */
export const Name = {
  end: -1,
  unknown: 0,
  infoHash: 1,
  peerId: 2,
  port: 3,
  uploaded: 4,
  downloaded: 5,
  left: 6,
  event: 7,
  numwant: 8,
  compact: 9,
  noPeerId: 10,
  ip: 11,
  ipv4: 12,
  ipv6: 13,
  rtctorrent: 14,
} as const
export type Name = (typeof Name)[keyof typeof Name]

/** Returned by `readNumber` for a value that is not a whole decimal number. */
export const NO_NUMBER = -1

/** Returned by `decode` for a broken escape or a character that is not a byte. */
export const BROKEN = -1

const word = (text: string) => Uint8Array.from(text, character => character.charCodeAt(0))
const WORDS = {
  infoHash: word('info_hash'),
  peerId: word('peer_id'),
  port: word('port'),
  uploaded: word('uploaded'),
  downloaded: word('downloaded'),
  left: word('left'),
  event: word('event'),
  numwant: word('numwant'),
  compact: word('compact'),
  noPeerId: word('no_peer_id'),
  ip: word('ip'),
  ipv4: word('ipv4'),
  ipv6: word('ipv6'),
  rtctorrent: word('rtctorrent'),
  started: word('started'),
  stopped: word('stopped'),
  completed: word('completed'),
} as const

/** Names by their lower-case text, for spellings that clients rarely use. */
const NAMES: ReadonlyMap<string, Name> = new Map([
  ['info_hash', Name.infoHash],
  ['peer_id', Name.peerId],
  ['port', Name.port],
  ['uploaded', Name.uploaded],
  ['downloaded', Name.downloaded],
  ['left', Name.left],
  ['event', Name.event],
  ['numwant', Name.numwant],
  ['compact', Name.compact],
  ['no_peer_id', Name.noPeerId],
  ['ip', Name.ip],
  ['ipv4', Name.ipv4],
  ['ipv6', Name.ipv6],
  ['rtctorrent', Name.rtctorrent],
])
const EVENTS: ReadonlyMap<string, Event> = new Map([
  ['started', Event.started],
  ['stopped', Event.stopped],
  ['completed', Event.completed],
])

/** Bytes of the longest known name or event: `downloaded`, `no_peer_id`, `rtctorrent`. */
const WORD_BYTES_MAX = 10

/** Maximum decimal digits of which every number is a small integer. */
const SMALL_DIGITS = 9

/** Characters of the query and an `&` after the last, so that no search needs another bound. */
const text = new Uint16Array(QUERY_BYTES_MAX + 1)
const textBytes = Buffer.from(text.buffer)
let length = 0
/** Offset at which the value of the current parameter begins, and at which the parameter ends. */
let valueAt = 0
let valueEnd = -1

/** A decoded address or word, followed by a zero. */
const decoded = new Uint8Array(ADDRESS_TEXT_BYTES_MAX + 1)

/**
 * Begins to read a query, still percent-encoded; false when it is too long. The query is copied,
 * because a character of a typed array costs a third of a character of a string.
 */
export function openQuery(query: string): boolean {
  length = query.length
  if (length > QUERY_BYTES_MAX) return false
  textBytes.write(query, 0, length * 2, 'utf16le')
  text[length] = AMPERSAND
  valueEnd = -1
  return true
}

/**
 * Moves to the next known parameter and returns its name; Name.end after the last. A name without
 * `=` has an empty value. Names may be in any case and percent-encoded. Some clients put `?` and
 * their parameters behind a URL that has a query already, so an unknown parameter ends at a `?`.
 */
export function nextName(): Name {
  for (let from = valueEnd + 1; from < length; from = valueEnd + 1) {
    const name = readName(from)
    if (name !== Name.unknown) return name
    let end = from
    while (text[end] !== AMPERSAND && text[end] !== QUESTION_MARK) end++
    valueEnd = end
  }
  return Name.end
}

function readName(from: number): Name {
  // The first two characters distinguish nearly all names.
  switch ((text[from] as number) | ((text[from + 1] as number) << 16)) {
    case 0x6e0069: // in
      if (isName(from, WORDS.infoHash)) return Name.infoHash
      break
    case 0x650070: // pe
      if (isName(from, WORDS.peerId)) return Name.peerId
      break
    case 0x6f0070: // po
      if (isName(from, WORDS.port)) return Name.port
      break
    case 0x700075: // up
      if (isName(from, WORDS.uploaded)) return Name.uploaded
      break
    case 0x6f0064: // do
      if (isName(from, WORDS.downloaded)) return Name.downloaded
      break
    case 0x65006c: // le
      if (isName(from, WORDS.left)) return Name.left
      break
    case 0x760065: // ev
      if (isName(from, WORDS.event)) return Name.event
      break
    case 0x75006e: // nu
      if (isName(from, WORDS.numwant)) return Name.numwant
      break
    case 0x6f006e: // no
      if (isName(from, WORDS.noPeerId)) return Name.noPeerId
      break
    case 0x6f0063: // co
      if (isName(from, WORDS.compact)) return Name.compact
      break
    case 0x700069: // ip
      if (isName(from, WORDS.ipv6)) return Name.ipv6
      if (isName(from, WORDS.ipv4)) return Name.ipv4
      if (isName(from, WORDS.ip)) return Name.ip
      break
    case 0x740072: // rt
      if (isName(from, WORDS.rtctorrent)) return Name.rtctorrent
      break
  }
  return readOddName(from)
}

/** Whether the name is `name`, whose first two characters are already compared. */
function isName(from: number, name: Uint8Array): boolean {
  for (let n = 2; n < name.length; n++) if (text[from + n] !== name[n]) return false
  const end = from + name.length
  const code = text[end]
  valueAt = code === EQUALS ? end + 1 : end
  return code === EQUALS || code === AMPERSAND
}

/** Reads a name in an unusual spelling: upper case or percent-encoded. */
function readOddName(from: number): Name {
  let end = from
  let isOdd = false
  for (; text[end] !== EQUALS && text[end] !== AMPERSAND; end++) {
    const code = text[end] as number
    if (code === PERCENT || (code >= 0x41 && code <= 0x5a)) isOdd = true
  }
  if (!isOdd) return Name.unknown
  valueAt = text[end] === EQUALS ? end + 1 : end
  return NAMES.get(readWord(from, EQUALS)) ?? Name.unknown
}

/**
 * The decoded word from `from` to `end` or `&`, in lower case; empty for one longer than all known
 * words.
 */
function readWord(from: number, end: number): string {
  const count = decodeFrom(from, decoded, 0, WORD_BYTES_MAX, end)
  if (count === BROKEN || count > WORD_BYTES_MAX) return ''
  return String.fromCharCode(...decoded.subarray(0, count)).toLowerCase()
}

/** Skips the value of an unknown parameter. */
export function skipValue(): void {
  skip(valueAt)
}

function skip(from: number): void {
  let end = from
  while (text[end] !== AMPERSAND) end++
  valueEnd = end
}

/** Whether the value is `0`. */
export function isZeroValue(): boolean {
  skip(valueAt)
  return valueEnd === valueAt + 1 && text[valueAt] === ZERO
}

/** The event, in any case; BEP 21's `paused` and any other are an announce without an event. */
export function readEvent(): Event {
  skip(valueAt)
  if (isValue(WORDS.started)) return Event.started
  if (isValue(WORDS.stopped)) return Event.stopped
  if (isValue(WORDS.completed)) return Event.completed
  if (valueAt === valueEnd) return Event.none
  return EVENTS.get(readWord(valueAt, AMPERSAND)) ?? Event.none
}

/** Whether the value, whose end is known, is exactly `word`. */
function isValue(word: Uint8Array): boolean {
  if (valueEnd - valueAt !== word.length) return false
  for (let n = 0; n < word.length; n++) if (text[valueAt + n] !== word[n]) return false
  return true
}

/**
 * The decimal number of the value; NO_NUMBER for anything else. A value above 2^48 may be inexact
 * but stays above 2^48.
 */
export function readNumber(): number {
  let place = valueAt
  let digit = (text[place] as number) - ZERO
  // The first digits fit a small integer, and most numbers have no more.
  let small = 0
  for (const end = place + SMALL_DIGITS; place < end && digit >= 0 && digit <= 9; ) {
    small = small * 10 + digit
    digit = (text[++place] as number) - ZERO
  }
  let value = small
  while (digit >= 0 && digit <= 9) {
    if (value <= TRANSFER_BYTES_MAX) value = value * 10 + digit
    digit = (text[++place] as number) - ZERO
  }
  skip(place)
  if (valueEnd === place && place > valueAt) return value
  return text[place] === PERCENT ? readEncodedNumber() : NO_NUMBER
}

/** The same for a value with percent-encoded digits, whose end is known. */
function readEncodedNumber(): number {
  const end = valueEnd
  const count = decode(decoded, 0, ADDRESS_TEXT_BYTES_MAX)
  valueEnd = end
  if (count === BROKEN || count > ADDRESS_TEXT_BYTES_MAX) return NO_NUMBER
  const digits = String.fromCharCode(...decoded.subarray(0, count))
  return /^\d+$/.test(digits) ? Number(digits) : NO_NUMBER
}

/**
 * Percent-decodes the value to `out` at `into`, at most `most` bytes, and returns its length:
 * `most` + 1 for any longer one, BROKEN for a `%` without two hex digits or a character that is not
 * a byte. In these two cases the cursor does not move: the request is refused.
 */
export function decode(out: Uint8Array, into: number, most: number): number {
  return decodeFrom(valueAt, out, into, most, AMPERSAND)
}

/** Decodes up to an `&` or `end`. */
function decodeFrom(
  from: number,
  out: Uint8Array,
  into: number,
  most: number,
  end: number,
): number {
  let count = 0
  let place = from
  for (; ; place++) {
    let byte = text[place] as number
    if (byte === AMPERSAND || byte === end) break
    if (byte === PERCENT) {
      const high = text[place + 1] as number
      if (high > 0xff || HEX_DIGITS[high] === -1) return BROKEN
      const low = text[place + 2] as number
      if (low > 0xff || HEX_DIGITS[low] === -1) return BROKEN
      byte = ((HEX_DIGITS[high] as number) << 4) | (HEX_DIGITS[low] as number)
      place += 2
    } else if (byte > 0xff) return BROKEN
    if (count === most) return most + 1
    out[into + count++] = byte
  }
  valueEnd = place
  return count
}

/**
 * Reads the value as an address, optionally followed by a port (BEP 7), into the 16 bytes of
 * `address` and returns its family; an IPv4 address is in the first four bytes, followed by zeros.
 * Returns -1 for anything else, and for 0.0.0.0, `::` and link-local IPv6, at which no peer can be
 * reached: such a parameter is skipped, since clients send zones too, whose `%` is not even
 * encoded. Mapped IPv4 is IPv4.
 */
export function readAddress(address: Uint8Array): IpFamily | -1 {
  const count = decode(decoded, 0, ADDRESS_TEXT_BYTES_MAX)
  skip(valueAt)
  if (count < 1 || count > ADDRESS_TEXT_BYTES_MAX) return -1
  decoded[count] = 0
  const bracketed = decoded[0] === BRACKET
  let end = bracketed ? -1 : readIpv4(decoded, 0, address, 0)
  if (end !== -1) {
    if (!isPortOrEnd(end, count)) return -1
  } else {
    end = readIpv6(decoded, bracketed ? 1 : 0, address, 0)
    if (end === -1) return -1
    if (!bracketed && end !== count) return -1
    if (bracketed && (decoded[end] !== BRACKET_END || !isPortOrEnd(end + 1, count))) return -1
    if (!isMapped(address, 0)) return isReachableIpv6(address) ? Family.ipv6 : -1
    for (let n = 0; n < 4; n++) address[n] = address[MAPPED_AT + n] as number
  }
  for (let n = 4; n < 16; n++) address[n] = 0
  return isZero(address, 0, 4) ? -1 : Family.ipv4
}

function isPortOrEnd(from: number, end: number): boolean {
  if (from === end) return true
  if (decoded[from] !== COLON || from + 1 === end) return false
  for (let n = from + 1; n < end; n++) if (!isDigit(decoded[n] as number)) return false
  return true
}

function isReachableIpv6(address: Uint8Array): boolean {
  const linkLocal = address[0] === 0xfe && ((address[1] as number) & 0xc0) === 0x80
  return !linkLocal && !isZero(address, 0, 16)
}
