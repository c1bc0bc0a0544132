import type { Bytes } from '../bytes.ts'
import { type FailureAnswers, failureAnswer } from '../failures.ts'
import { writeAddressText } from '../ip.ts'
import {
  COMPACT_BYTES,
  COMPLETED,
  ENTRY_BYTES,
  ENTRY_COMPLETED,
  ENTRY_HASH,
  ENTRY_LEECHERS,
  ENTRY_SEEDERS,
  Family,
  Flag,
  HASH_BYTES,
  HASH_COUNT,
  INTERVAL,
  LEECHERS,
  PEER_COUNT,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  SCRAPE_HEADER_BYTES,
  SEEDERS,
} from '../records.ts'

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
const RETRY_IN = literal('8:retry in')

/** The unit of `retry in`. */
const SECONDS_PER_MINUTE = 60

/** Above this length, creating a view for `set` costs less than copying in a loop. */
const LOOP_BYTES_MAX = 160

/**
 * Maximum bytes of everything except the peers: keys, an IPv6 address and five numbers of at most
 * ten digits.
 */
const ANNOUNCE_FIXED_BYTES_MAX = 224
/** `d2:ip39:…7:peer id20:…4:porti65535ee` */
const DICTIONARY_PEER_BYTES_MAX = 96
/** `20:…d8:completei…e10:downloadedi…e10:incompletei…ee` */
const SCRAPE_ENTRY_BYTES_MAX = 112
const SCRAPE_FIXED_BYTES_MAX = 80

/** Maximum bytes of an answer to a failed request. */
export const FAILURE_BYTES_MAX = 384

/** Maximum bytes of the answer for the announce reply at `at`. */
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
 * Writes the bencoded answer to an announce (BEP 3, 7, 23, 24) to `out` and returns its length.
 * `externalIp` is the client's address, 4 or 16 bytes; `minInterval` in seconds.
 */
export function formatAnnounce(
  reply: Bytes,
  at: number,
  externalIp: Uint8Array,
  minInterval: number,
  out: Uint8Array,
): number {
  const { u8, view } = reply
  let end = writeLiteral(out, 0, COMPLETE)
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
  return end + 1
}

/**
 * `peers` is present even if empty: libtorrent once treated an answer without it as broken.
 * `peers6` is for clients that asked over IPv6 or get IPv6 peers; other clients ignore it.
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
  // The length precedes the text but is known only after it: two digits are left free, and the text
  // moves if it needs one.
  const begin = outAt + 3
  const end = writeAddressText(u8, at, bytes, out, begin)
  const length = end - begin
  const textAt = writeStringHead(out, outAt, length)
  if (textAt === begin) return end
  for (let n = 0; n < length; n++) out[textAt + n] = out[begin + n] as number
  return textAt + length
}

/** Maximum bytes of the answer for the scrape reply at `at`. */
export function scrapeAnswerBytesMax(reply: Bytes, at: number): number {
  return (
    SCRAPE_FIXED_BYTES_MAX + reply.view.getUint16(at + HASH_COUNT, true) * SCRAPE_ENTRY_BYTES_MAX
  )
}

/**
 * Writes the bencoded answer to a scrape (BEP 48) to `out` and returns its length. The reply's
 * hashes are sorted already.
 */
export function formatScrape(
  reply: Bytes,
  at: number,
  minRequestInterval: number,
  out: Uint8Array,
): number {
  const { u8, view } = reply
  const count = view.getUint16(at + HASH_COUNT, true)
  let end = writeLiteral(out, 0, FILES)
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
  return end + 2
}

/**
 * Writes the answer to a failed request: `failure reason` with `interval` and `min interval`, and
 * `retry in` (BEP 31). Returns its length, at most FAILURE_BYTES_MAX.
 */
export function formatFailure(answers: FailureAnswers, code: number, out: Uint8Array): number {
  const { text, interval, retry } = failureAnswer(answers, code)
  let end = writeLiteral(out, 0, FAILURE_REASON)
  end = writeText(out, end, text)
  end = writeLiteral(out, end, INTERVAL_KEY)
  end = writeInteger(out, end, interval)
  end = writeLiteral(out, end, MIN_INTERVAL)
  end = writeInteger(out, end, interval)
  end = writeLiteral(out, end, RETRY_IN)
  if (retry === 'never') end = writeText(out, end, 'never')
  else end = writeInteger(out, end, Math.ceil(interval / SECONDS_PER_MINUTE))
  out[end] = 0x65
  return end + 1
}

/* The writers of bencode. Each writes at `at` and returns where it ended. */

/** A part of every answer, such as a key with its length, ready to be copied. */
function literal(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function writeLiteral(out: Uint8Array, at: number, bytes: Uint8Array): number {
  // Keys have about a dozen bytes, for which a loop is faster than `set`.
  for (let n = 0; n < bytes.length; n++) out[at + n] = bytes[n] as number
  return at + bytes.length
}

/** Decimal digits of a whole number from 0 to 2^53. */
function writeDigits(out: Uint8Array, at: number, value: number): number {
  let end = at + 1
  for (let bound = 10; value >= bound; bound *= 10) end++
  let place = end - 1
  let rest = value
  for (; rest > 0x3fff_ffff; place--) {
    const next = Math.floor(rest / 10)
    // The difference first: 2^53 and more are not exact.
    out[place] = 0x30 + (rest - next * 10)
    rest = next
  }
  // Small integers divide without a division.
  for (let small = rest | 0; place >= at; place--) {
    const next = (small / 10) | 0
    out[place] = 0x30 + small - next * 10
    small = next
  }
  return end
}

/** `i…e` */
function writeInteger(out: Uint8Array, at: number, value: number): number {
  out[at] = 0x69
  const end = writeDigits(out, at + 1, value)
  out[end] = 0x65
  return end + 1
}

/** The `length:` before the bytes of a string. */
function writeStringHead(out: Uint8Array, at: number, length: number): number {
  const end = writeDigits(out, at, length)
  out[end] = 0x3a
  return end + 1
}

/** A string of `length` bytes copied from `from`. */
function writeString(
  out: Uint8Array,
  at: number,
  from: Uint8Array,
  fromAt: number,
  length: number,
): number {
  const begin = writeStringHead(out, at, length)
  if (length > LOOP_BYTES_MAX) out.set(from.subarray(fromAt, fromAt + length), begin)
  else for (let n = 0; n < length; n++) out[begin + n] = from[fromAt + n] as number
  return begin + length
}

/** A string of characters below 128. */
function writeText(out: Uint8Array, at: number, text: string): number {
  const begin = writeStringHead(out, at, text.length)
  for (let n = 0; n < text.length; n++) out[begin + n] = text.charCodeAt(n)
  return begin + text.length
}
