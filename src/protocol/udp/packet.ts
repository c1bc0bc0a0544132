import type { Bytes } from '../bytes.ts'
import { Failure, type FailureAnswers, failureAnswer } from '../failures.ts'
import { TRANSFER_BYTES_MAX } from '../limits.ts'
import {
  ADDRESS,
  type AnnounceRules,
  COMPACT_BYTES,
  DOWNLOADED,
  ENTRY_BYTES,
  ENTRY_COMPLETED,
  ENTRY_LEECHERS,
  ENTRY_SEEDERS,
  EVENT,
  Event,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  HASH_BYTES,
  HASH_COUNT,
  INFO_HASH,
  INTERVAL,
  type IpFamily,
  KIND,
  Kind,
  LEECHERS,
  LEFT,
  NUMWANT,
  PEER_COUNT,
  PEER_ID,
  PORT,
  REPLY_HEADER_BYTES,
  SCRAPE_HEADER_BYTES,
  SCRAPE_REQUEST_HEADER_BYTES,
  SEEDERS,
  UPLOADED,
  writeSource,
} from '../records.ts'

/**
 * The packets of BEP 15. Offsets in bytes from the start of a packet; integers big-endian.
 * Every request begins with these three.
 */
export const PACKET_CONNECTION_ID = 0 // u64; in a connect, PROTOCOL_ID
export const PACKET_ACTION = 8 // u32
export const PACKET_TRANSACTION_ID = 12 // u32
export const REQUEST_HEADER_BYTES = 16

export const Action = { connect: 0, announce: 1, scrape: 2, error: 3 } as const

/**
 * The id of the protocol, which a connect has as its connection id: 0x41727101980, in two words.
 */
export const PROTOCOL_ID = [0x417, 0x27101980] as const

/** Announce; its options (BEP 41) follow. The client's `key`, u32 at 88, is not used. */
export const PACKET_INFO_HASH = 16 // 20
export const PACKET_PEER_ID = 36 // 20
export const PACKET_DOWNLOADED = 56 // u64
export const PACKET_LEFT = 64 // u64
export const PACKET_UPLOADED = 72 // u64
export const PACKET_EVENT = 80 // u32
export const PACKET_IP = 84 // 4, also from IPv6
export const PACKET_NUM_WANT = 92 // i32
export const PACKET_PORT = 96 // u16
export const ANNOUNCE_PACKET_BYTES = 98

/** Scrape. */
export const PACKET_HASHES = 16 // 20 each
export const SCRAPE_PACKET_HASHES_MAX = 74

/**
 * Maximum bytes of a request: a scrape of 74 hashes has 1496 bytes, an announce with a long URL far
 * fewer.
 */
export const UDP_REQUEST_BYTES_MAX = 2048

/** Every answer begins with these two. */
export const ANSWER_ACTION = 0 // u32
export const ANSWER_TRANSACTION_ID = 4 // u32
export const ANSWER_HEADER_BYTES = 8

export const ANSWER_CONNECTION_ID = 8 // u64
export const CONNECT_ANSWER_BYTES = 16

/** Answer to an announce; the peers in the compact form follow. */
export const ANSWER_INTERVAL = 8 // u32, seconds
export const ANSWER_LEECHERS = 12 // u32
export const ANSWER_SEEDERS = 16 // u32
export const ANNOUNCE_ANSWER_HEADER_BYTES = 20

/** Answer to a scrape: an entry for each hash, in the order asked. */
export const ANSWER_ENTRIES = 8
export const ANSWER_ENTRY_SEEDERS = 0 // u32
export const ANSWER_ENTRY_COMPLETED = 4 // u32
export const ANSWER_ENTRY_LEECHERS = 8 // u32
export const ANSWER_ENTRY_BYTES = 12

/**
 * Bytes of UDP payload that fit the smallest MTU of IPv6 (RFC 8200 §5), 1280 bytes, without the
 * headers.
 */
export const UNFRAGMENTED_BYTES_MAX = 1280 - 40 - 8

/**
 * Maximum peers in one answer, by family. Fragments are often dropped on the way. Over IPv4 an
 * answer fits an Ethernet frame of 1500 bytes, and routers fragment longer packets. Over IPv6 only
 * the sender could fragment, and tunnels are common, so an answer fits UNFRAGMENTED_BYTES_MAX.
 */
export const PACKET_PEERS_MAX = [
  Math.floor((1500 - 20 - 8 - ANNOUNCE_ANSWER_HEADER_BYTES) / COMPACT_BYTES[Family.ipv4]),
  Math.floor((UNFRAGMENTED_BYTES_MAX - ANNOUNCE_ANSWER_HEADER_BYTES) / COMPACT_BYTES[Family.ipv6]),
] as const

/**
 * Offset of a packet in the memory of its reply record: the header of an announce's answer ends
 * where the record's header ends, so the engine's peers stay in place.
 */
export const PACKET_AT = REPLY_HEADER_BYTES - ANNOUNCE_ANSWER_HEADER_BYTES

/** Bytes of the request record of the longest scrape packet. */
export const SCRAPE_RECORD_BYTES =
  SCRAPE_REQUEST_HEADER_BYTES + SCRAPE_PACKET_HASHES_MAX * HASH_BYTES

/** Bytes of the longest reply record including its packet. */
export const UDP_REPLY_BYTES = Math.max(
  REPLY_HEADER_BYTES + PACKET_PEERS_MAX[Family.ipv4] * COMPACT_BYTES[Family.ipv4],
  REPLY_HEADER_BYTES + PACKET_PEERS_MAX[Family.ipv6] * COMPACT_BYTES[Family.ipv6],
  SCRAPE_HEADER_BYTES + SCRAPE_PACKET_HASHES_MAX * ENTRY_BYTES,
)

/** BEP 41. URLData may be split into several options, whose data are joined. */
const Option = { end: 0, nop: 1, urlData: 2 } as const

/** Whether the request at `at` is a connect of BEP 15. */
export function isConnect(view: DataView, at: number): boolean {
  return (
    view.getInt32(at + PACKET_CONNECTION_ID) === PROTOCOL_ID[0] &&
    view.getInt32(at + PACKET_CONNECTION_ID + 4) === PROTOCOL_ID[1]
  )
}

/**
 * Parses the announce at `at`, of ANNOUNCE_PACKET_BYTES or more, into the request record at
 * `intoAt`. The caller has written FAMILY and ADDRESS from the packet's source; the packet's `ip`
 * replaces an IPv4 ADDRESS under usePayloadIp.
 */
export function parseAnnouncePacket(
  packet: Bytes,
  at: number,
  into: Bytes,
  intoAt: number,
  rules: AnnounceRules,
): Failure {
  const from = packet.view
  const to = into.view
  const port = from.getUint16(at + PACKET_PORT)
  const family = into.u8[intoAt + FAMILY] as IpFamily
  const event = from.getInt32(at + PACKET_EVENT)
  const wanted = from.getInt32(at + PACKET_NUM_WANT)
  const bound = Math.min(rules.numwantMaximum, PACKET_PEERS_MAX[family])
  into.u8[intoAt + KIND] = Kind.announce
  // libtorrent sends 4 for BEP 21's `paused`: like any other number, an announce without an event.
  into.u8[intoAt + EVENT] = event >= Event.none && event <= Event.stopped ? event : Event.none
  const local = rules.externalIp ? Flag.localPeers : 0
  into.u8[intoAt + FLAGS] = local
  to.setUint16(intoAt + PORT, port, true)
  to.setUint16(intoAt + NUMWANT, Math.min(wanted < 0 ? rules.numwantDefault : wanted, bound), true)
  copyHash(from, at + PACKET_INFO_HASH, to, intoAt + INFO_HASH)
  copyHash(from, at + PACKET_PEER_ID, to, intoAt + PEER_ID)
  copyCount(from, at + PACKET_UPLOADED, to, intoAt + UPLOADED)
  copyCount(from, at + PACKET_DOWNLOADED, to, intoAt + DOWNLOADED)
  copyCount(from, at + PACKET_LEFT, to, intoAt + LEFT)
  if (rules.usePayloadIp && family === Family.ipv4) {
    const ip = from.getInt32(at + PACKET_IP)
    if (ip !== 0) {
      writeSource(to, intoAt)
      into.u8[intoAt + FLAGS] = Flag.claimedAddress | local
      to.setInt32(intoAt + ADDRESS, ip)
    }
  }
  return Failure.none
}

/**
 * Joins the URLData options (BEP 41) from `at` to `end`: the path and query of the tracker's URL,
 * as bytes at `outAt` of `out`, which has space for all of them. Options end where one does not fit
 * the packet. Returns the number of bytes written.
 */
export function readUrlData(
  packet: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  outAt: number,
): number {
  let written = 0
  for (let n = at; n < end; ) {
    const option = packet[n++]
    if (option === Option.end) break
    if (option === Option.nop) continue
    if (n === end) break
    const size = packet[n++] as number
    if (n + size > end) break
    if (option === Option.urlData) {
      for (let byte = 0; byte < size; byte++) out[outAt + written++] = packet[n + byte] as number
    }
    n += size
  }
  return written
}

/**
 * Offset of the data of the URLData option at `at`, of which the byte in front is the length, if it
 * is the only option until `end`; 0 otherwise.
 */
export function soleUrlDataAt(packet: Uint8Array, at: number, end: number): number {
  if (at + 2 > end || packet[at] !== Option.urlData) return 0
  const next = at + 2 + (packet[at + 1] as number)
  const isLast = next === end || (next < end && packet[next] === Option.end)
  return isLast ? at + 2 : 0
}

/**
 * Offset at which the options of the scrape from `at` to `end` begin; `end` if it does not have
 * any. BEP 41 describes options of announces only, so nothing marks the end of the hashes: options
 * begin after a hash, with URLData of an absolute path, and fill the rest of the packet exactly.
 */
export function scrapeOptionsAt(packet: Uint8Array, at: number, end: number): number {
  for (let n = at + PACKET_HASHES + HASH_BYTES; n + 2 < end; n += HASH_BYTES) {
    const isPath = packet[n] === Option.urlData && packet[n + 2] === SLASH
    if (isPath && areOptions(packet, n, end)) return n
  }
  return end
}

const SLASH = 0x2f

/** Whether the bytes from `at` to `end` are whole options. */
function areOptions(packet: Uint8Array, at: number, end: number): boolean {
  let n = at
  while (n < end) {
    const option = packet[n++] as number
    if (option === Option.end) return n === end
    if (option > Option.urlData) return false
    if (option === Option.urlData) {
      if (n === end) return false
      n += 1 + (packet[n] as number)
    }
  }
  return n === end
}

/**
 * Parses the scrape of `length` bytes at `at` into the request record at `intoAt`, which has space
 * for SCRAPE_PACKET_HASHES_MAX hashes. Bytes past the last whole hash are ignored.
 */
export function parseScrapePacket(
  packet: Bytes,
  at: number,
  length: number,
  into: Bytes,
  intoAt: number,
): Failure {
  const count = Math.floor((length - PACKET_HASHES) / HASH_BYTES)
  if (count < 1) return Failure.missingInfoHash
  if (count > SCRAPE_PACKET_HASHES_MAX) return Failure.tooManyHashes
  into.u8[intoAt + KIND] = Kind.scrape
  into.view.setUint16(intoAt + HASH_COUNT, count, true)
  for (let n = 0; n < count; n++) {
    const hash = intoAt + SCRAPE_REQUEST_HEADER_BYTES + n * HASH_BYTES
    copyHash(packet.view, at + PACKET_HASHES + n * HASH_BYTES, into.view, hash)
  }
  return Failure.none
}

function copyHash(from: DataView, at: number, to: DataView, toAt: number): void {
  for (let n = 0; n < HASH_BYTES; n += 4) to.setInt32(toAt + n, from.getInt32(at + n))
}

/**
 * Big-endian u64 to little-endian, bounded by TRANSFER_BYTES_MAX; clients that do not know `left`
 * send 2^64 - 1.
 */
function copyCount(from: DataView, at: number, to: DataView, toAt: number): void {
  const high = from.getUint32(at)
  const over = high >= (TRANSFER_BYTES_MAX + 1) / 0x1_0000_0000
  to.setUint32(toAt, over ? 0xffff_ffff : from.getUint32(at + 4), true)
  to.setUint32(toAt + 4, over ? Math.floor(TRANSFER_BYTES_MAX / 0x1_0000_0000) : high, true)
}

/** Writes the header of an answer. */
export function writeAnswerHeader(
  view: DataView,
  at: number,
  action: number,
  transactionId: number,
): void {
  view.setInt32(at + ANSWER_ACTION, action)
  view.setInt32(at + ANSWER_TRANSACTION_ID, transactionId)
}

/**
 * Turns the reply record at `at` into an announce's answer, PACKET_AT behind, in place; peers of
 * the other family are left out. Returns the answer's length.
 */
export function formatAnnouncePacket(
  reply: Bytes,
  at: number,
  family: IpFamily,
  transactionId: number,
): number {
  const { u8, view } = reply
  const packet = at + PACKET_AT
  const interval = view.getInt32(at + INTERVAL, true)
  const leechers = view.getInt32(at + LEECHERS, true)
  const seeders = view.getInt32(at + SEEDERS, true)
  const peers = view.getUint16(at + PEER_COUNT[family], true) * COMPACT_BYTES[family]
  const before =
    family === Family.ipv4
      ? 0
      : view.getUint16(at + PEER_COUNT[Family.ipv4], true) * COMPACT_BYTES[Family.ipv4]
  if (before !== 0) {
    const start = at + REPLY_HEADER_BYTES + before
    u8.copyWithin(at + REPLY_HEADER_BYTES, start, start + peers)
  }
  writeAnswerHeader(view, packet, Action.announce, transactionId)
  view.setInt32(packet + ANSWER_INTERVAL, interval)
  view.setInt32(packet + ANSWER_LEECHERS, leechers)
  view.setInt32(packet + ANSWER_SEEDERS, seeders)
  return ANNOUNCE_ANSWER_HEADER_BYTES + peers
}

/**
 * Turns the reply record at `at` into a scrape's answer, PACKET_AT behind, in place: its entries
 * are shorter than the record's, so none is overwritten before it is read. Returns the answer's
 * length.
 */
export function formatScrapePacket(reply: Bytes, at: number, transactionId: number): number {
  const { view } = reply
  const packet = at + PACKET_AT
  const count = view.getUint16(at + HASH_COUNT, true)
  writeAnswerHeader(view, packet, Action.scrape, transactionId)
  for (let n = 0; n < count; n++) {
    const entry = at + SCRAPE_HEADER_BYTES + n * ENTRY_BYTES
    const out = packet + ANSWER_ENTRIES + n * ANSWER_ENTRY_BYTES
    const seeders = view.getInt32(entry + ENTRY_SEEDERS, true)
    const completed = view.getInt32(entry + ENTRY_COMPLETED, true)
    const leechers = view.getInt32(entry + ENTRY_LEECHERS, true)
    view.setInt32(out + ANSWER_ENTRY_SEEDERS, seeders)
    view.setInt32(out + ANSWER_ENTRY_COMPLETED, completed)
    view.setInt32(out + ANSWER_ENTRY_LEECHERS, leechers)
  }
  return ANSWER_ENTRIES + count * ANSWER_ENTRY_BYTES
}

/**
 * Writes an error packet with the text of `failure` PACKET_AT behind `at` and returns its length.
 */
export function formatErrorPacket(
  answers: FailureAnswers,
  reply: Bytes,
  at: number,
  transactionId: number,
  failure: number,
): number {
  const packet = at + PACKET_AT
  const { text } = failureAnswer(answers, failure)
  writeAnswerHeader(reply.view, packet, Action.error, transactionId)
  for (let n = 0; n < text.length; n++) {
    reply.u8[packet + ANSWER_HEADER_BYTES + n] = text.charCodeAt(n)
  }
  return ANSWER_HEADER_BYTES + text.length
}
