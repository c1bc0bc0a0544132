import type { Bytes } from '../bytes.ts'
import { failureText } from '../failures.ts'
import {
  COMPACT_BYTES,
  COMPLETED,
  Family,
  Flag,
  HASH_BYTES,
  INTERVAL,
  LEECHERS,
  PEER_COUNT,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  SEEDERS,
} from '../records.ts'
import {
  ENTRY_BYTES,
  ENTRY_COMPLETED,
  ENTRY_HASH,
  ENTRY_LEECHERS,
  ENTRY_SEEDERS,
  HASH_COUNT,
  SCRAPE_HEADER_BYTES,
} from '../scrape-record.ts'
import {
  literal,
  writeDigits,
  writeInteger,
  writeLiteral,
  writeString,
  writeStringHead,
  writeText,
} from './bencode.ts'

const COLON = 0x3a
const DOT = 0x2e

const COMPLETE = literal('d8:complete')
const DOWNLOADED_KEY = literal('10:downloaded')
const EXTERNAL_IP = literal('11:external ip')
const INCOMPLETE = literal('10:incomplete')
const INTERVAL_KEY = literal('8:interval')
const MIN_INTERVAL = literal('12:min interval')
const PEERS = literal('5:peers')
const PEERS6 = literal('6:peers6')
const PEER_IP = literal('d2:ip')
const PEER_ID_KEY = literal('7:peer id')
const PEER_PORT = literal('4:port')
const FILES = literal('d5:filesd')
const FLAGS_KEY = literal('e5:flagsd20:min_request_interval')
const FAILURE_REASON = literal('d14:failure reason')

/** All that is not peers: keys, an IPv6 address and five numbers of at most ten digits. */
const ANNOUNCE_FIXED_BYTES_MAX = 224
/** `d2:ip39:…7:peer id20:…4:porti65535ee` */
const DICTIONARY_PEER_BYTES_MAX = 96
/** `20:…d8:completei…e10:downloadedi…e10:incompletei…ee` */
const SCRAPE_ENTRY_BYTES_MAX = 112
const SCRAPE_FIXED_BYTES_MAX = 80

/** The most bytes that an answer to a failed request takes. */
export const FAILURE_BYTES_MAX = 256

/** The most bytes that the answer made of the announce reply at `at` takes. */
export function announceAnswerBytesMax(reply: Bytes, at: number): number {
  const ipv4 = reply.view.getUint16(at + PEER_COUNT[Family.ipv4], true)
  const ipv6 = reply.view.getUint16(at + PEER_COUNT[Family.ipv6], true)
  const dictionary = ((reply.u8[at + REPLY_FLAGS] ?? 0) & Flag.dictionary) !== 0
  const peers = dictionary
    ? (ipv4 + ipv6) * DICTIONARY_PEER_BYTES_MAX
    : ipv4 * COMPACT_BYTES[Family.ipv4] + ipv6 * COMPACT_BYTES[Family.ipv6]
  return ANNOUNCE_FIXED_BYTES_MAX + peers
}

/**
 * Writes the bencoded answer to an announce (BEP 3, 7, 23, 24) at `outAt` and returns its length.
 * `externalIp` is the asker's address, 4 or 16 bytes; `minInterval` in seconds.
 */
export function formatAnnounce(
  reply: Bytes,
  at: number,
  externalIp: Uint8Array,
  minInterval: number,
  out: Uint8Array,
  outAt: number,
): number {
  const { u8, view } = reply
  let end = writeLiteral(out, outAt, COMPLETE)
  end = writeInteger(out, end, view.getUint32(at + SEEDERS, true))
  end = writeLiteral(out, end, DOWNLOADED_KEY)
  end = writeInteger(out, end, view.getUint32(at + COMPLETED, true))
  end = writeLiteral(out, end, EXTERNAL_IP)
  end = writeString(out, end, externalIp, 0, externalIp.length)
  end = writeLiteral(out, end, INCOMPLETE)
  end = writeInteger(out, end, view.getUint32(at + LEECHERS, true))
  end = writeLiteral(out, end, INTERVAL_KEY)
  end = writeInteger(out, end, view.getUint32(at + INTERVAL, true))
  end = writeLiteral(out, end, MIN_INTERVAL)
  end = writeInteger(out, end, minInterval)
  end = writeLiteral(out, end, PEERS)
  if (((u8[at + REPLY_FLAGS] ?? 0) & Flag.dictionary) !== 0)
    end = writePeerList(reply, at, out, end)
  else end = writeCompactPeers(reply, at, externalIp.length === 16, out, end)
  out[end] = 0x65
  return end + 1 - outAt
}

/**
 * `peers` is there even if empty: libtorrent has long taken an answer without any for broken.
 * `peers6` is for who asked over IPv6 or is given IPv6 peers; who does not know it passes over it.
 */
function writeCompactPeers(
  reply: Bytes,
  at: number,
  askedOverIpv6: boolean,
  out: Uint8Array,
  outAt: number,
): number {
  const { u8, view } = reply
  const ipv4Bytes = view.getUint16(at + PEER_COUNT[Family.ipv4], true) * COMPACT_BYTES[Family.ipv4]
  const ipv6Bytes = view.getUint16(at + PEER_COUNT[Family.ipv6], true) * COMPACT_BYTES[Family.ipv6]
  const peers = at + REPLY_HEADER_BYTES
  let end = writeString(out, outAt, u8, peers, ipv4Bytes)
  if (ipv6Bytes > 0 || askedOverIpv6) {
    end = writeLiteral(out, end, PEERS6)
    end = writeString(out, end, u8, peers + ipv4Bytes, ipv6Bytes)
  }
  return end
}

/**
 * The peers of both families as a list of dictionaries (BEP 3); IPv6 addresses as RFC 5952 writes
 * them.
 */
function writePeerList(reply: Bytes, at: number, out: Uint8Array, outAt: number): number {
  const { u8, view } = reply
  const ipv4 = view.getUint16(at + PEER_COUNT[Family.ipv4], true)
  const ipv6 = view.getUint16(at + PEER_COUNT[Family.ipv6], true)
  const withIds = ((u8[at + REPLY_FLAGS] ?? 0) & Flag.peerIds) !== 0
  let peer = at + REPLY_HEADER_BYTES
  let id = peer + ipv4 * COMPACT_BYTES[Family.ipv4] + ipv6 * COMPACT_BYTES[Family.ipv6]
  let end = outAt
  out[end++] = 0x6c
  for (let n = 0; n < ipv4 + ipv6; n++) {
    const width = n < ipv4 ? COMPACT_BYTES[Family.ipv4] : COMPACT_BYTES[Family.ipv6]
    end = writeLiteral(out, end, PEER_IP)
    end = writeAddress(u8, peer, width - 2, out, end)
    if (withIds) {
      end = writeLiteral(out, end, PEER_ID_KEY)
      end = writeString(out, end, u8, id, HASH_BYTES)
      id += HASH_BYTES
    }
    end = writeLiteral(out, end, PEER_PORT)
    end = writeInteger(out, end, view.getUint16(peer + width - 2))
    out[end++] = 0x65
    peer += width
  }
  out[end] = 0x65
  return end + 1
}

/** Writes 4 or 16 bytes as the string of a dotted quad or of IPv6 text (RFC 5952 §4). */
function writeAddress(
  u8: Uint8Array,
  at: number,
  bytes: number,
  out: Uint8Array,
  outAt: number,
): number {
  // The length goes before the text and is known after it: room for two digits, and a move if it
  // has one.
  const begin = outAt + 3
  const end = bytes === 4 ? writeIpv4(u8, at, out, begin) : writeIpv6(u8, at, out, begin)
  const length = end - begin
  const textAt = writeStringHead(out, outAt, length)
  if (textAt === begin) return end
  for (let n = 0; n < length; n++) out[textAt + n] = out[begin + n] as number
  return textAt + length
}

function writeIpv4(u8: Uint8Array, at: number, out: Uint8Array, outAt: number): number {
  let end = writeDigits(out, outAt, u8[at] as number)
  for (let n = 1; n < 4; n++) {
    out[end] = DOT
    end = writeDigits(out, end + 1, u8[at + n] as number)
  }
  return end
}

function writeIpv6(u8: Uint8Array, at: number, out: Uint8Array, outAt: number): number {
  // The first of the longest runs of two or more zero groups becomes `::`.
  let gap = -1
  let gapLength = 1
  for (let first = 0, length = 0; first < 8; first += length + 1) {
    length = 0
    while (first + length < 8 && isZeroGroup(u8, at, first + length)) length++
    if (length > gapLength) {
      gap = first
      gapLength = length
    }
  }
  let end = outAt
  for (let group = 0; group < 8; group++) {
    if (group === gap) {
      out[end++] = COLON
      out[end++] = COLON
      group += gapLength - 1
      continue
    }
    if (group > 0 && out[end - 1] !== COLON) out[end++] = COLON
    const place = at + group * 2
    end = writeHex(out, end, ((u8[place] as number) << 8) | (u8[place + 1] as number))
  }
  return end
}

function isZeroGroup(u8: Uint8Array, at: number, group: number): boolean {
  return u8[at + group * 2] === 0 && u8[at + group * 2 + 1] === 0
}

/** Hex digits of 16 bits, without leading zeros. */
function writeHex(out: Uint8Array, at: number, value: number): number {
  let end = at
  for (let shift = value > 0xfff ? 12 : value > 0xff ? 8 : value > 0xf ? 4 : 0; shift >= 0; ) {
    const digit = (value >> shift) & 0xf
    out[end++] = digit + (digit < 10 ? 0x30 : 0x57)
    shift -= 4
  }
  return end
}

/** The most bytes that the answer made of the scrape reply at `at` takes. */
export function scrapeAnswerBytesMax(reply: Bytes, at: number): number {
  return (
    SCRAPE_FIXED_BYTES_MAX + reply.view.getUint16(at + HASH_COUNT, true) * SCRAPE_ENTRY_BYTES_MAX
  )
}

/**
 * Writes the bencoded answer to a scrape (BEP 48) at `outAt` and returns its length. The reply's
 * hashes are sorted already.
 */
export function formatScrape(
  reply: Bytes,
  at: number,
  minRequestInterval: number,
  out: Uint8Array,
  outAt: number,
): number {
  const { u8, view } = reply
  const count = view.getUint16(at + HASH_COUNT, true)
  let end = writeLiteral(out, outAt, FILES)
  for (let n = 0; n < count; n++) {
    const entry = at + SCRAPE_HEADER_BYTES + n * ENTRY_BYTES
    end = writeString(out, end, u8, entry + ENTRY_HASH, HASH_BYTES)
    end = writeLiteral(out, end, COMPLETE)
    end = writeInteger(out, end, view.getUint32(entry + ENTRY_SEEDERS, true))
    end = writeLiteral(out, end, DOWNLOADED_KEY)
    end = writeInteger(out, end, view.getUint32(entry + ENTRY_COMPLETED, true))
    end = writeLiteral(out, end, INCOMPLETE)
    end = writeInteger(out, end, view.getUint32(entry + ENTRY_LEECHERS, true))
    out[end++] = 0x65
  }
  end = writeLiteral(out, end, FLAGS_KEY)
  end = writeInteger(out, end, minRequestInterval)
  out[end] = 0x65
  out[end + 1] = 0x65
  return end + 2 - outAt
}

/**
 * Writes `d14:failure reason…e` for a code of failures.ts and returns its length, at most
 * FAILURE_BYTES_MAX.
 */
export function formatFailure(code: number, out: Uint8Array, outAt: number): number {
  let end = writeLiteral(out, outAt, FAILURE_REASON)
  end = writeText(out, end, failureText(code))
  out[end] = 0x65
  return end + 1 - outAt
}
