import {
  ADDRESS,
  DOWNLOADED,
  EVENT,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  HASH_BYTES,
  INFO_HASH,
  type IpFamily,
  KIND,
  Kind,
  LEFT,
  NUMWANT,
  PEER_ID,
  PORT,
  UPLOADED,
  writeU64,
} from './announce-record.ts'
import type { Bytes } from './bytes.ts'
import { Event } from './events.ts'
import { Failure } from './failures.ts'
import {
  ADDRESS_TEXT_BYTES_MAX,
  QUERY_BYTES_MAX,
  SCRAPE_HASHES_MAX,
  TRANSFER_BYTES_MAX,
} from './limits.ts'
import { HASH_COUNT, SCRAPE_REQUEST_HEADER_BYTES } from './scrape-record.ts'

/** What a configuration says about reading an announce. */
export type AnnounceRules = {
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Believe `ip`, `ipv4` and `ipv6`. */
  readonly usePayloadIp: boolean
}

const AMPERSAND = 0x26
const COLON = 0x3a
const DOT = 0x2e
const EQUALS = 0x3d
const PERCENT = 0x25
const ZERO = 0x30
const BRACKET = 0x5b
const BRACKET_END = 0x5d

/**
 * The parameters that mean something here. All others (`key`, `trackerid`, `supportcrypto`,
 * `corrupt`, …) are passed over.
 */
const Name = {
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
} as const
type Name = (typeof Name)[keyof typeof Name]

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
  started: word('started'),
  stopped: word('stopped'),
  completed: word('completed'),
  zero: word('0'),
} as const

/**
 * Value of the hex digit with this character code; -1 for other bytes. A table, since branches on
 * random digits are mispredicted.
 */
const HEX = Int8Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code)
  return /[0-9a-f]/i.test(text) ? Number.parseInt(text, 16) : -1
})

/**
 * Where the value of the parameter being read begins, set by readName, and ends, set by who reads
 * the value.
 */
let valueAt = 0
let valueEnd = 0

/** An address as decoded text, a zero behind it, and as bytes. */
const addressText = new Uint8Array(ADDRESS_TEXT_BYTES_MAX + 1)
const address = new Uint8Array(16)
const scrapedHash = new Uint8Array(HASH_BYTES)

/**
 * Reads the query of an announce (BEP 3, 7, 23), still percent-encoded, into the announce record at
 * `at`, in one pass and without making anything. FAMILY and ADDRESS are the caller's, except under
 * usePayloadIp. After a failure the record holds whatever was read so far.
 * - `+` stands for itself: clients encode bytes, not forms.
 * - Of a parameter that comes twice the last one counts; info_hash, peer_id and port may not.
 * - A number that cannot be read is as good as absent. `left` is then 0, as in Torrust-Actix.
 * - `port` is wanted of `stopped` too: a client without one was never let in.
 * - `numwant` 0 is the default, as in Torrust-Actix.
 */
export function parseAnnounce(
  query: string,
  into: Bytes,
  at: number,
  rules: AnnounceRules,
): Failure {
  if (query.length > QUERY_BYTES_MAX) return Failure.queryTooLong
  const { u8, view } = into
  const connected = u8[at + FAMILY] as IpFamily
  let families = 1 << connected
  let addressRank = 0
  let seen = 0
  let port = 0
  let uploaded = 0
  let downloaded = 0
  let left = 0
  let event: Event = Event.none
  let numwant = 0
  let dictionary = false
  let wantsIds = true
  for (let from = 0; from < query.length; from = valueEnd + 1) {
    const name = readName(query, from)
    switch (name) {
      case Name.infoHash:
      case Name.peerId:
      case Name.port: {
        const bit = 1 << name
        if ((seen & bit) !== 0) return Failure.duplicateParameter
        seen |= bit
        if (name === Name.port) {
          port = readNumber(query)
          break
        }
        const isHash = name === Name.infoHash
        const decoded = decode(query, u8, at + (isHash ? INFO_HASH : PEER_ID), HASH_BYTES)
        if (decoded === HASH_BYTES) break
        if (decoded === -1) return Failure.invalidEncoding
        return isHash ? Failure.invalidInfoHash : Failure.invalidPeerId
      }
      case Name.uploaded:
        uploaded = readNumber(query)
        break
      case Name.downloaded:
        downloaded = readNumber(query)
        break
      case Name.left:
        left = readNumber(query)
        break
      case Name.numwant:
        numwant = readNumber(query)
        break
      case Name.event:
        event = readEvent(query)
        break
      case Name.compact:
        dictionary = isValue(query, WORDS.zero)
        break
      case Name.noPeerId:
        wantsIds = isValue(query, WORDS.zero)
        break
      case Name.ip:
      case Name.ipv4:
      case Name.ipv6: {
        const family = readAddress(query)
        if (family === -1) break
        if (name !== Name.ip) {
          if (family !== (name === Name.ipv4 ? Family.ipv4 : Family.ipv6)) break
          families |= 1 << family
        }
        // `ip` is meant for the tracker; of the other two, the connection's family says which one
        // is.
        const rank = name === Name.ip ? 3 : family === connected ? 2 : 1
        if (!rules.usePayloadIp || rank < addressRank) break
        addressRank = rank
        u8[at + FAMILY] = family
        for (let n = 0; n < 16; n++) u8[at + ADDRESS + n] = address[n] as number
        break
      }
      default:
        findEnd(query, from)
    }
  }
  if ((seen & (1 << Name.infoHash)) === 0) return Failure.missingInfoHash
  if ((seen & (1 << Name.peerId)) === 0) return Failure.missingPeerId
  if (port < 1 || port > 0xffff) return Failure.invalidPort
  u8[at + KIND] = Kind.announce
  u8[at + EVENT] = event
  u8[at + FLAGS] =
    (dictionary ? Flag.dictionary : 0) |
    (dictionary && wantsIds ? Flag.peerIds : 0) |
    (families === 3 ? Flag.bothFamilies : 0)
  view.setUint16(at + PORT, port, true)
  const wanted = numwant > 0 ? numwant : rules.numwantDefault
  view.setUint16(at + NUMWANT, Math.min(wanted, rules.numwantMaximum), true)
  writeTransfer(view, at + UPLOADED, uploaded)
  writeTransfer(view, at + DOWNLOADED, downloaded)
  writeTransfer(view, at + LEFT, left)
  return Failure.none
}

/**
 * Reads the query of a scrape (BEP 48) into the scrape record at `at`, which has room for
 * SCRAPE_HASHES_MAX hashes: sorted, and each once, as the answer's dictionary wants them.
 */
export function parseScrape(query: string, into: Bytes, at: number): Failure {
  if (query.length > QUERY_BYTES_MAX) return Failure.queryTooLong
  const { u8, view } = into
  const hashes = at + SCRAPE_REQUEST_HEADER_BYTES
  let count = 0
  for (let from = 0; from < query.length; from = valueEnd + 1) {
    if (readName(query, from) !== Name.infoHash) {
      findEnd(query, from)
      continue
    }
    const decoded = decode(query, scrapedHash, 0, HASH_BYTES)
    if (decoded === -1) return Failure.invalidEncoding
    if (decoded !== HASH_BYTES) return Failure.invalidInfoHash
    const place = placeOf(u8, hashes, count)
    if (place === -1) continue
    if (count === SCRAPE_HASHES_MAX) return Failure.tooManyHashes
    const put = hashes + place * HASH_BYTES
    if (place < count) u8.copyWithin(put + HASH_BYTES, put, hashes + count * HASH_BYTES)
    for (let n = 0; n < HASH_BYTES; n++) u8[put + n] = scrapedHash[n] as number
    count++
  }
  if (count === 0) return Failure.missingInfoHash
  u8[at + KIND] = Kind.scrape
  view.setUint16(at + HASH_COUNT, count, true)
  return Failure.none
}

/** Where scrapedHash belongs among `count` sorted hashes; -1 when it is one of them. */
function placeOf(u8: Uint8Array, hashes: number, count: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    const hash = hashes + middle * HASH_BYTES
    let n = 0
    while (n < HASH_BYTES && u8[hash + n] === scrapedHash[n]) n++
    if (n === HASH_BYTES) return -1
    if ((u8[hash + n] as number) < (scrapedHash[n] as number)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Which parameter begins at `from`, which is inside the query. Sets valueAt, for one that is known.
 * A name without `=` has an empty value.
 */
function readName(query: string, from: number): Name {
  switch (query.charCodeAt(from)) {
    case 0x69: // i
      if (isName(query, from, WORDS.infoHash)) return Name.infoHash
      if (isName(query, from, WORDS.ipv6)) return Name.ipv6
      if (isName(query, from, WORDS.ipv4)) return Name.ipv4
      return isName(query, from, WORDS.ip) ? Name.ip : Name.unknown
    case 0x70: // p
      if (isName(query, from, WORDS.peerId)) return Name.peerId
      return isName(query, from, WORDS.port) ? Name.port : Name.unknown
    case 0x75: // u
      return isName(query, from, WORDS.uploaded) ? Name.uploaded : Name.unknown
    case 0x64: // d
      return isName(query, from, WORDS.downloaded) ? Name.downloaded : Name.unknown
    case 0x6c: // l
      return isName(query, from, WORDS.left) ? Name.left : Name.unknown
    case 0x65: // e
      return isName(query, from, WORDS.event) ? Name.event : Name.unknown
    case 0x6e: // n
      if (isName(query, from, WORDS.numwant)) return Name.numwant
      return isName(query, from, WORDS.noPeerId) ? Name.noPeerId : Name.unknown
    case 0x63: // c
      return isName(query, from, WORDS.compact) ? Name.compact : Name.unknown
    default:
      return Name.unknown
  }
}

function isName(query: string, from: number, name: Uint8Array): boolean {
  const end = from + name.length
  if (end > query.length) return false
  // The first character is known, and the second tells most names apart.
  for (let n = 1; n < name.length; n++) if (query.charCodeAt(from + n) !== name[n]) return false
  const code = end < query.length ? query.charCodeAt(end) : AMPERSAND
  valueAt = code === EQUALS ? end + 1 : end
  return code === EQUALS || code === AMPERSAND
}

function startsWith(query: string, from: number, text: Uint8Array): boolean {
  if (from + text.length > query.length) return false
  for (let n = 0; n < text.length; n++) if (query.charCodeAt(from + n) !== text[n]) return false
  return true
}

function findEnd(query: string, from: number): void {
  const end = query.indexOf('&', from)
  valueEnd = end === -1 ? query.length : end
}

/** Whether the value is exactly `text`. Sets valueEnd. */
function isValue(query: string, text: Uint8Array): boolean {
  findEnd(query, valueAt)
  return valueEnd - valueAt === text.length && startsWith(query, valueAt, text)
}

/** BEP 21's `paused` and whatever else there is: none. */
function readEvent(query: string): Event {
  if (isValue(query, WORDS.started)) return Event.started
  if (isValue(query, WORDS.stopped)) return Event.stopped
  return isValue(query, WORDS.completed) ? Event.completed : Event.none
}

/**
 * The decimal number, of which any above TRANSFER_BYTES_MAX is only some number above it; 0 for
 * what is none. Sets valueEnd.
 */
function readNumber(query: string): number {
  let value = 0
  let place = valueAt
  for (; place < query.length; place++) {
    const digit = query.charCodeAt(place) - ZERO
    if (digit < 0 || digit > 9) {
      findEnd(query, place)
      return valueEnd === place ? value : 0
    }
    if (value <= TRANSFER_BYTES_MAX) value = value * 10 + digit
  }
  valueEnd = place
  return value
}

function writeTransfer(view: DataView, at: number, value: number): void {
  writeU64(view, at, Math.min(value, TRANSFER_BYTES_MAX))
}

/**
 * Percent-decodes the value to `into`, at most `room` bytes, and returns how many it has: `room` +
 * 1 for any more; -1 for a `%` without two hex digits or a character that is no byte. Sets
 * valueEnd, unless it gives up before.
 */
function decode(query: string, out: Uint8Array, into: number, room: number): number {
  const length = query.length
  let count = 0
  let place = valueAt
  for (; place < length; place++) {
    let byte = query.charCodeAt(place)
    if (byte === AMPERSAND) break
    if (byte === PERCENT) {
      if (place + 2 >= length) return -1
      const high = query.charCodeAt(place + 1)
      const low = query.charCodeAt(place + 2)
      if ((high | low) > 0xff) return -1
      byte = ((HEX[high] as number) << 4) | (HEX[low] as number)
      if (byte < 0) return -1
      place += 2
    } else if (byte > 0xff) return -1
    if (count === room) return room + 1
    out[into + count++] = byte
  }
  valueEnd = place
  return count
}

/**
 * Reads an address, a port behind it or not (BEP 7), into `address` and returns its family. -1 for
 * what is none, and for 0.0.0.0, `::` and link-local IPv6, where nobody can be reached; such a
 * parameter is passed over, since clients send zones too, whose `%` is not even encoded. Mapped
 * IPv4 is IPv4. Sets valueEnd.
 */
function readAddress(query: string): IpFamily | -1 {
  const length = decode(query, addressText, 0, ADDRESS_TEXT_BYTES_MAX)
  findEnd(query, valueAt)
  if (length < 1 || length > ADDRESS_TEXT_BYTES_MAX) return -1
  addressText[length] = 0
  const bracketed = addressText[0] === BRACKET
  let end = bracketed ? -1 : readIpv4(0, 0)
  if (end !== -1) {
    if (!isPortOrEnd(end, length)) return -1
  } else {
    end = readIpv6(bracketed ? 1 : 0)
    if (end === -1) return -1
    if (!bracketed && end !== length) return -1
    if (bracketed && (addressText[end] !== BRACKET_END || !isPortOrEnd(end + 1, length))) return -1
    if (!isMapped()) return isReachableIpv6() ? Family.ipv6 : -1
    for (let n = 0; n < 4; n++) address[n] = address[12 + n] as number
  }
  for (let n = 4; n < 16; n++) address[n] = 0
  return isZero(0, 4) ? -1 : Family.ipv4
}

function isPortOrEnd(from: number, length: number): boolean {
  if (from === length) return true
  if (addressText[from] !== COLON || from + 1 === length) return false
  for (let n = from + 1; n < length; n++) if (!isDigit(addressText[n] as number)) return false
  return true
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9
}

function isZero(from: number, end: number): boolean {
  for (let n = from; n < end; n++) if (address[n] !== 0) return false
  return true
}

/** ::ffff:0:0/96 */
function isMapped(): boolean {
  return isZero(0, 10) && address[10] === 0xff && address[11] === 0xff
}

function isReachableIpv6(): boolean {
  const linkLocal = address[0] === 0xfe && ((address[1] as number) & 0xc0) === 0x80
  return !linkLocal && !isZero(0, 16)
}

/**
 * Reads the dotted quad at `from` of addressText to `into` of address. Returns where it ends, or
 * -1.
 */
function readIpv4(from: number, into: number): number {
  let place = from
  for (let part = 0; part < 4; part++) {
    if (part > 0 && addressText[place++] !== DOT) return -1
    const begin = place
    let value = 0
    for (; place < begin + 3 && isDigit(addressText[place] as number); place++) {
      value = value * 10 + (addressText[place] as number) - ZERO
    }
    // Some read a leading zero as octal.
    if (place === begin || value > 255 || (place > begin + 1 && addressText[begin] === ZERO))
      return -1
    address[into + part] = value
  }
  return place
}

/**
 * Reads the IPv6 address (RFC 4291 §2.2) at `from` of addressText. Returns where it ends, or -1.
 */
function readIpv6(from: number): number {
  let place = from
  let count = 0
  let gap = -1
  if (addressText[place] === COLON) {
    if (addressText[place + 1] !== COLON) return -1
    gap = 0
    place += 2
  }
  while (count < 16) {
    const begin = place
    let value = 0
    for (; place < begin + 4 && HEX[addressText[place] as number] !== -1; place++) {
      value = (value << 4) | (HEX[addressText[place] as number] as number)
    }
    if (place === begin) {
      if (gap !== count) return -1
      break
    }
    if (addressText[place] === DOT) {
      if (count > 12) return -1
      place = readIpv4(begin, count)
      if (place === -1) return -1
      count += 4
      break
    }
    address[count++] = value >> 8
    address[count++] = value & 0xff
    if (count === 16 || addressText[place] !== COLON) break
    place++
    if (addressText[place] === COLON) {
      if (gap !== -1) return -1
      gap = count
      place++
    }
  }
  return closeGap(gap, count) ? place : -1
}

/**
 * Spreads the `count` bytes of an address whose `::` stands before byte `gap`, or nowhere (-1), to
 * all 16.
 */
function closeGap(gap: number, count: number): boolean {
  if (gap === -1) return count === 16
  if (count === 16) return false
  for (let n = 15; n >= gap; n--) {
    const source = n - (16 - count)
    address[n] = source >= gap ? (address[source] as number) : 0
  }
  return true
}
