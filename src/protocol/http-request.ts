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
import { parseIpv4, parseIpv6 } from './ip-address.ts'
import { QUERY_BYTES_MAX, SCRAPE_HASHES_MAX, TRANSFER_BYTES_MAX } from './limits.ts'
import { HASH_COUNT, SCRAPE_HEADER_BYTES } from './scrape-record.ts'

/** What a configuration says about reading an announce. */
export type AnnounceRules = {
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Believe `ip`, `ipv4` and `ipv6`. */
  readonly usePayloadIp: boolean
}

const AMPERSAND = 0x26
const EQUALS = 0x3d
const PERCENT = 0x25
const ZERO = 0x30

/** The parameters that mean something here. Everything else (`key`, `trackerid`, `supportcrypto`, …) is passed over. */
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

/** Where the parameter being read begins and ends, and how many bytes its decoded value had: set by the functions below. */
let nameEnd = 0
let valueEnd = 0
let decodedBytes = 0

/**
 * Reads the query of an announce (BEP 3, 7, 23), still percent-encoded, into the announce record at `at`, in one pass and without making
 * anything. FAMILY and ADDRESS are the caller's, except under `usePayloadIp`. `+` stands for itself: clients encode bytes, not forms.
 * Numbers that cannot be read are as good as absent, which clients with a broken `uploaded` depend on.
 */
export function parseAnnounce(
  query: string,
  into: Bytes,
  at: number,
  rules: AnnounceRules,
): Failure {
  if (query.length > QUERY_BYTES_MAX) return Failure.queryTooLong
  const { u8, view } = into
  let hashes = 0
  let ids = 0
  let ports = 0
  let port = 0
  let numwant = rules.numwantDefault
  let flags = 0
  let wantsIds = true
  u8[at + KIND] = Kind.announce
  u8[at + EVENT] = Event.none
  writeU64(view, at + UPLOADED, 0)
  writeU64(view, at + DOWNLOADED, 0)
  writeU64(view, at + LEFT, 0)
  for (let from = 0; from < query.length; from = valueEnd + 1) {
    const name = readName(query, from)
    const value = nameEnd + 1
    switch (name) {
      case Name.infoHash:
        if (!decode(query, value, u8, at + INFO_HASH)) return Failure.invalidEncoding
        if (decodedBytes !== HASH_BYTES) return Failure.invalidInfoHash
        hashes++
        break
      case Name.peerId:
        if (!decode(query, value, u8, at + PEER_ID)) return Failure.invalidEncoding
        if (decodedBytes !== HASH_BYTES) return Failure.invalidPeerId
        ids++
        break
      case Name.port:
        port = readNumber(query, value)
        ports++
        break
      case Name.uploaded:
        writeTransfer(view, at + UPLOADED, readNumber(query, value))
        break
      case Name.downloaded:
        writeTransfer(view, at + DOWNLOADED, readNumber(query, value))
        break
      case Name.left:
        writeTransfer(view, at + LEFT, readNumber(query, value))
        break
      case Name.event:
        findEnd(query, value)
        u8[at + EVENT] = readEvent(query, value)
        break
      case Name.numwant: {
        const wanted = readNumber(query, value)
        if (wanted > 0) numwant = wanted
        break
      }
      case Name.compact:
        findEnd(query, value)
        if (valueEnd === value + 1 && query.charCodeAt(value) === ZERO) flags |= Flag.dictionary
        break
      case Name.noPeerId:
        findEnd(query, value)
        wantsIds = false
        break
      case Name.ip:
      case Name.ipv4:
      case Name.ipv6:
        findEnd(query, value)
        if (rules.usePayloadIp) readPayloadAddress(query, value, u8, at)
        else if (name === Name.ipv6 && u8[at + FAMILY] === Family.ipv4) flags |= Flag.bothFamilies
        else if (name === Name.ipv4 && u8[at + FAMILY] === Family.ipv6) flags |= Flag.bothFamilies
        break
      default:
        findEnd(query, value)
    }
  }
  if (hashes === 0) return Failure.missingInfoHash
  if (ids === 0) return Failure.missingPeerId
  if (hashes > 1 || ids > 1 || ports > 1) return Failure.duplicateParameter
  if (!(port >= 1 && port <= 0xffff)) return Failure.invalidPort
  if ((flags & Flag.dictionary) !== 0 && wantsIds) flags |= Flag.peerIds
  u8[at + FLAGS] = flags
  view.setUint16(at + PORT, port, true)
  view.setUint16(at + NUMWANT, Math.min(numwant, rules.numwantMaximum), true)
  return Failure.none
}

/**
 * Reads the query of a scrape (BEP 48) into the scrape record at `at`, which has room for SCRAPE_HASHES_MAX hashes: sorted, and each once,
 * as the answer's dictionary wants them.
 */
export function parseScrape(query: string, into: Bytes, at: number): Failure {
  if (query.length > QUERY_BYTES_MAX) return Failure.queryTooLong
  const { u8, view } = into
  u8[at + KIND] = Kind.scrape
  let count = 0
  for (let from = 0; from < query.length; from = valueEnd + 1) {
    const name = readName(query, from)
    if (name !== Name.infoHash) {
      findEnd(query, nameEnd + 1)
      continue
    }
    if (count === SCRAPE_HASHES_MAX) return Failure.tooManyHashes
    const end = at + SCRAPE_HEADER_BYTES + count * HASH_BYTES
    if (!decode(query, nameEnd + 1, u8, end)) return Failure.invalidEncoding
    if (decodedBytes !== HASH_BYTES) return Failure.invalidInfoHash
    if (sortIn(u8, at + SCRAPE_HEADER_BYTES, count)) count++
  }
  view.setUint16(at + HASH_COUNT, count, true)
  return count === 0 ? Failure.missingInfoHash : Failure.none
}

/** Moves the hash behind `count` sorted ones to its place among them. False when it is there already. */
function sortIn(u8: Uint8Array, first: number, count: number): boolean {
  const added = first + count * HASH_BYTES
  let place = count
  while (place > 0) {
    const order = compareHashes(u8, first + (place - 1) * HASH_BYTES, added)
    if (order === 0) return false
    if (order < 0) break
    place--
  }
  if (place === count) return true
  const hash = u8.slice(added, added + HASH_BYTES)
  u8.copyWithin(first + (place + 1) * HASH_BYTES, first + place * HASH_BYTES, added)
  u8.set(hash, first + place * HASH_BYTES)
  return true
}

function compareHashes(u8: Uint8Array, a: number, b: number): number {
  for (let n = 0; n < HASH_BYTES; n++) {
    const difference = (u8[a + n] ?? 0) - (u8[b + n] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Which parameter begins at `from`. Sets nameEnd to where its value begins, minus one. */
function readName(query: string, from: number): number {
  let end = from
  for (; end < query.length; end++) {
    const code = query.charCodeAt(end)
    if (code === EQUALS) break
    if (code === AMPERSAND) {
      // A name without a value: the value is empty and begins where the name ends.
      nameEnd = end - 1
      return nameOf(query, from, end)
    }
  }
  nameEnd = end
  return nameOf(query, from, end)
}

function nameOf(query: string, from: number, end: number): number {
  switch (query.charCodeAt(from)) {
    case 0x69: // i
      if (end - from === 2) return is(query, from, end, 'ip') ? Name.ip : Name.unknown
      if (end - from === 4) {
        if (is(query, from, end, 'ipv4')) return Name.ipv4
        return is(query, from, end, 'ipv6') ? Name.ipv6 : Name.unknown
      }
      return is(query, from, end, 'info_hash') ? Name.infoHash : Name.unknown
    case 0x70: // p
      if (is(query, from, end, 'port')) return Name.port
      return is(query, from, end, 'peer_id') ? Name.peerId : Name.unknown
    case 0x75: // u
      return is(query, from, end, 'uploaded') ? Name.uploaded : Name.unknown
    case 0x64: // d
      return is(query, from, end, 'downloaded') ? Name.downloaded : Name.unknown
    case 0x6c: // l
      return is(query, from, end, 'left') ? Name.left : Name.unknown
    case 0x65: // e
      return is(query, from, end, 'event') ? Name.event : Name.unknown
    case 0x6e: // n
      if (is(query, from, end, 'numwant')) return Name.numwant
      return is(query, from, end, 'no_peer_id') ? Name.noPeerId : Name.unknown
    case 0x63: // c
      return is(query, from, end, 'compact') ? Name.compact : Name.unknown
    default:
      return Name.unknown
  }
}

function is(query: string, from: number, end: number, text: string): boolean {
  if (end - from !== text.length) return false
  for (let n = 0; n < text.length; n++) {
    if (query.charCodeAt(from + n) !== text.charCodeAt(n)) return false
  }
  return true
}

function findEnd(query: string, from: number): void {
  const end = query.indexOf('&', from)
  valueEnd = end === -1 ? query.length : end
}

/** Value of a hex digit's character code, or -1. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/**
 * Percent-decodes the value at `from` to `into`, at most HASH_BYTES of it, and sets valueEnd and decodedBytes. False for a `%` without two
 * hex digits, and for a character that is no byte.
 */
function decode(query: string, from: number, u8: Uint8Array, into: number): boolean {
  let count = 0
  let place = from
  for (; place < query.length; place++) {
    let byte = query.charCodeAt(place)
    if (byte === AMPERSAND) break
    if (byte === PERCENT) {
      const high = hexDigit(query.charCodeAt(place + 1))
      const low = hexDigit(query.charCodeAt(place + 2))
      if (high === -1 || low === -1) return false
      byte = high * 16 + low
      place += 2
    } else if (byte > 0xff) return false
    if (count < HASH_BYTES) u8[into + count] = byte
    count++
  }
  valueEnd = place
  decodedBytes = count
  return true
}

/** The decimal number at `from`, up to 2^53; -1 for anything else. Sets valueEnd. */
function readNumber(query: string, from: number): number {
  let place = from
  let value = 0
  let good = true
  for (; place < query.length; place++) {
    const code = query.charCodeAt(place)
    if (code === AMPERSAND) break
    if (code < 0x30 || code > 0x39) good = false
    else if (value < Number.MAX_SAFE_INTEGER / 16) value = value * 10 + code - 0x30
    else value = Number.MAX_SAFE_INTEGER
  }
  valueEnd = place
  return good && place > from ? value : -1
}

function writeTransfer(view: DataView, at: number, value: number): void {
  writeU64(view, at, Math.min(Math.max(0, value), TRANSFER_BYTES_MAX))
}

function readEvent(query: string, from: number): Event {
  if (is(query, from, valueEnd, 'started')) return Event.started
  if (is(query, from, valueEnd, 'stopped')) return Event.stopped
  return is(query, from, valueEnd, 'completed') ? Event.completed : Event.none
}

/**
 * Puts the address of `ip`, `ipv4` or `ipv6` in place of the connection's. BEP 7 allows a port behind it, which announces carry anyway. What
 * is no address leaves the connection's. Only where the operator allows it, so it need not be quick.
 */
function readPayloadAddress(query: string, from: number, u8: Uint8Array, at: number): void {
  const text = query
    .slice(from, valueEnd)
    .replace(/%3a/gi, ':')
    .replace(/%5b/gi, '[')
    .replace(/%5d/gi, ']')
  const literal =
    /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const parsed = parseIpv4(literal) ?? parseIpv6(literal)
  if (!parsed) return
  u8[at + FAMILY] = parsed.length === 4 ? Family.ipv4 : Family.ipv6
  u8.fill(0, at + ADDRESS, at + ADDRESS + 16)
  u8.set(parsed, at + ADDRESS)
}
