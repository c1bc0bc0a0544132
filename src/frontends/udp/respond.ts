import { count, countUdpFailure, UdpCounter, type UdpCounters } from '../../counters/udp.ts'
import type { Answer } from '../../link/link.ts'
import { allocate, type Bytes } from '../../protocol/bytes.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import { type PathRules, TrackerPaths } from '../../protocol/http/path.ts'
import { type CidrList, compileCidrs } from '../../protocol/ip.ts'
import { replaceLocalPeers } from '../../protocol/local-peers.ts'
import {
  ADDRESS,
  ANNOUNCE_BYTES,
  type AnnounceRules,
  FAILURE,
  FAMILY,
  Family,
  type IpFamily,
  KEY,
  SCRAPE_KEY,
  SCRAPE_USER_KEY,
  USER_KEY,
} from '../../protocol/records.ts'
import { failureOfKeys } from '../../protocol/stopped-keys.ts'
import {
  type ClientAddress,
  type ConnectionSecret,
  isConnectionId,
  writeConnectionId,
} from '../../protocol/udp/connection-id.ts'
import {
  Action,
  ANNOUNCE_PACKET_BYTES,
  ANSWER_CONNECTION_ID,
  CONNECT_ANSWER_BYTES,
  formatAnnouncePacket,
  formatErrorPacket,
  formatScrapePacket,
  isConnect,
  PACKET_ACTION,
  PACKET_AT,
  PACKET_CONNECTION_ID,
  PACKET_TRANSACTION_ID,
  parseAnnouncePacket,
  parseScrapePacket,
  REQUEST_HEADER_BYTES,
  readUrlData,
  SCRAPE_RECORD_BYTES,
  scrapeOptionsAt,
  soleUrlDataAt,
  UDP_REQUEST_BYTES_MAX,
  writeAnswerHeader,
} from '../../protocol/udp/packet.ts'
import {
  isIpv4Client,
  proxiedClientAt,
  SIMPLE_PROXY_BYTES,
} from '../../protocol/udp/simple-proxy.ts'
import { entryOfAddress, type ProvenKeys, recallKeys, storeKeys } from './proven-keys.ts'

/** The rules of a UDP listener. They can be cloned. */
export type UdpRules = {
  readonly announce: AnnounceRules
  /** The keys that the path in the options of a request must contain (BEP 41). */
  readonly pathRules: PathRules
  /** Texts of failures. */
  readonly failures: FailureAnswers
  /** CIDR ranges whose Simple Proxy Protocol headers are accepted. */
  readonly trustedProxies: readonly string[]
}

/** How a UDP listener answers. */
export type UdpService = {
  /** The engine: announce and scrape records in, reply records out. */
  readonly answer: Answer
  readonly rules: UdpRules
  readonly secret: ConnectionSecret
  readonly provenKeys: ProvenKeys
  /** Returns Unix time; called once for each batch of datagrams. */
  readonly nowSeconds: () => number
  readonly counters: UdpCounters
}

/** State of `respond` for the datagrams of one socket. */
export type Responder = {
  readonly service: UdpService
  readonly family: IpFamily
  readonly paths: TrackerPaths
  /** The client of the current datagram. */
  readonly client: ClientAddress
  /**
   * The request records, overwritten by every datagram: an announce at 0, a scrape at SCRAPE_AT.
   */
  readonly record: Bytes<ArrayBuffer>
  /** Set if proxies are trusted: their ranges, and a responder for their clients of each family. */
  readonly proxied: { readonly trusted: CidrList; readonly responders: Responder[] } | undefined
}

/** Not shared with the announce, so that the bytes after an IPv4 ADDRESS remain zero. */
const SCRAPE_AT = ANNOUNCE_BYTES

export const ADDRESS_BYTES = [4, 16] as const

export function createResponder(service: UdpService, family: IpFamily): Responder {
  const trusted = compileCidrs(service.rules.trustedProxies)
  const responders = [Family.ipv4, Family.ipv6].map(of => createPlainResponder(service, of))
  return {
    ...createPlainResponder(service, family),
    proxied: trusted.length > 0 ? { trusted, responders } : undefined,
  }
}

function createPlainResponder(service: UdpService, family: IpFamily): Responder {
  const record = allocate(SCRAPE_AT + SCRAPE_RECORD_BYTES)
  const paths = new TrackerPaths(service.rules.pathRules)
  const client = { view: record.view, at: 0, bytes: ADDRESS_BYTES[family] }
  return { service, family, paths, client, record, proxied: undefined }
}

/**
 * A datagram of `length` bytes at `at`, from the address at `addressAt`, and the place for its
 * reply: `replyAt` has space for UDP_REPLY_BYTES. All offsets are in `memory`. One object is reused
 * for all datagrams.
 */
export type Datagram = {
  readonly memory: Bytes
  at: number
  length: number
  addressAt: number
  replyAt: number
}

export function createDatagram(memory: Bytes): Datagram {
  return { memory, at: 0, length: 0, addressAt: 0, replyAt: 0 }
}

/**
 * Answers one datagram; changes `datagram` if a proxy sent it. The reply record is written to
 * `replyAt`, and the answer from it in place: it begins at `replyAt + PACKET_AT`. Returns the
 * answer's length, or 0 for no answer. Until the connection id is verified, no answer is longer
 * than its request, so that a forged source address gains an attacker nothing.
 */
export function respond(responder: Responder, datagram: Datagram, nowSeconds: number): number {
  const { client, family, proxied, service } = responder
  const { memory, at, length, addressAt, replyAt } = datagram
  const { view } = memory
  client.view = view
  client.at = addressAt
  if (proxied) {
    const clientAt = proxiedClientAt(proxied.trusted, memory, at, length, client)
    if (clientAt !== -1) {
      const of = proxied.responders[isIpv4Client(at, clientAt) ? Family.ipv4 : Family.ipv6]
      datagram.at = at + SIMPLE_PROXY_BYTES
      datagram.length = length - SIMPLE_PROXY_BYTES
      datagram.addressAt = clientAt
      return of ? respond(of, datagram, nowSeconds) : 0
    }
  }
  if (length < REQUEST_HEADER_BYTES) return drop(responder, UdpCounter.garbage)
  const action = view.getInt32(at + PACKET_ACTION)
  if (action === Action.connect) {
    if (!isConnect(view, at)) return drop(responder, UdpCounter.garbage)
    const packet = replyAt + PACKET_AT
    writeAnswerHeader(view, packet, Action.connect, view.getInt32(at + PACKET_TRANSACTION_ID))
    writeConnectionId(service.secret, client, nowSeconds, view, packet + ANSWER_CONNECTION_ID)
    count(service.counters, family, UdpCounter.connect, 1)
    return CONNECT_ANSWER_BYTES
  }
  const wellFormed =
    action === Action.announce ? length >= ANNOUNCE_PACKET_BYTES : action === Action.scrape
  if (!wellFormed) return drop(responder, UdpCounter.garbage)
  if (!isConnectionId(service.secret, client, nowSeconds, view, at + PACKET_CONNECTION_ID)) {
    return drop(responder, UdpCounter.badConnectionId)
  }
  return action === Action.announce ? announce(responder, datagram) : scrape(responder, datagram)
}

function drop(responder: Responder, counter: UdpCounter): number {
  count(responder.service.counters, responder.family, counter, 1)
  return 0
}

function announce(responder: Responder, datagram: Datagram): number {
  const { client, family, paths, record, service } = responder
  const { memory, at, replyAt } = datagram
  const transactionId = memory.view.getInt32(at + PACKET_TRANSACTION_ID)
  record.u8[FAMILY] = family
  for (let n = 0; n < client.bytes; n += 4) {
    record.view.setInt32(ADDRESS + n, memory.view.getInt32(client.at + n))
  }
  const fault = parseAnnouncePacket(memory, at, record, 0, service.rules.announce)
  const keyFailure = fault || readAnnounceKeys(responder, datagram)
  const hasKeys = needsKeys(paths.rules) && keyFailure === Failure.none
  const entry = hasKeys ? entryOfAddress(service.provenKeys, client) : 0
  const failure = fault || failureOfKeys(record, 0, keyFailure) || request(responder, 0, datagram)
  if (failure !== Failure.none) return fail(responder, datagram, transactionId, failure)
  if (hasKeys) storeKeys(service.provenKeys, entry, record)
  const { externalIp } = service.rules.announce
  if (externalIp) replaceLocalPeers(memory, replyAt, externalIp)
  count(service.counters, family, UdpCounter.announce, 1)
  return formatAnnouncePacket(memory, replyAt, family, transactionId)
}

/** Requests the reply to the record at `recordAt` from the engine. Returns its failure. */
function request(
  { record, service }: Responder,
  recordAt: number,
  { memory, replyAt }: Datagram,
): Failure {
  service.answer(record, recordAt, memory, replyAt)
  return memory.u8[replyAt + FAILURE] as Failure
}

/** Reads the keys, where they are required, from the path in the options of the announce. */
function readAnnounceKeys({ paths, record }: Responder, { at, length, memory }: Datagram): Failure {
  if (!needsKeys(paths.rules)) return Failure.none
  const { u8 } = memory
  const optionsAt = at + ANNOUNCE_PACKET_BYTES
  url.at = soleUrlDataAt(u8, optionsAt, at + length)
  if (url.at !== 0) {
    url.end = url.at + (u8[url.at - 1] as number)
    if (paths.readCommonPath(memory, url, record, KEY, USER_KEY)) return Failure.none
  }
  const bytes = readUrlData(u8, optionsAt, at + length, urlData, 0)
  const [path, query] = readUrl(bytes)
  return paths.readAnnounceKeys(path, query, record, KEY, USER_KEY)
}

function needsKeys({ keys, users }: PathRules): boolean {
  return keys || users
}

/** Place of the path and query of the current announce, if its datagram has them in one piece. */
const url = { at: 0, end: 0 }
const urlData = Buffer.alloc(UDP_REQUEST_BYTES_MAX)

function scrape(responder: Responder, datagram: Datagram): number {
  const { family, record, service } = responder
  const { memory, at, length, replyAt } = datagram
  const transactionId = memory.view.getInt32(at + PACKET_TRANSACTION_ID)
  const end = at + length
  const optionsAt = scrapeOptionsAt(memory.u8, at, end)
  const failure =
    readScrapeKeys(responder, memory, optionsAt, end) ||
    parseScrapePacket(memory, at, optionsAt - at, record, SCRAPE_AT) ||
    request(responder, SCRAPE_AT, datagram)
  if (failure !== Failure.none) return fail(responder, datagram, transactionId, failure)
  count(service.counters, family, UdpCounter.scrape, 1)
  return formatScrapePacket(memory, replyAt, transactionId)
}

/**
 * Reads the keys, where scrapes require them, from the path in the options from `at` to `end`. A
 * scrape without options has the keys that its address announced with.
 */
function readScrapeKeys(
  { client, paths, record, service }: Responder,
  memory: Bytes,
  at: number,
  end: number,
): Failure {
  if (!needsKeys(paths.rules) || paths.rules.anonymousScrape) return Failure.none
  if (at === end && recallKeys(service.provenKeys, client, record, SCRAPE_AT)) return Failure.none
  const bytes = readUrlData(memory.u8, at, end, urlData, 0)
  const [path, query] = readUrl(bytes)
  const keyAt = SCRAPE_AT + SCRAPE_KEY
  return paths.readScrapeKeys(path, query, record, keyAt, SCRAPE_AT + SCRAPE_USER_KEY)
}

/** Path and query of the tracker's URL, from the first bytes of `urlData`. */
function readUrl(bytes: number): [path: string, query: string | undefined] {
  const url = urlData.toString('latin1', 0, bytes)
  const queryAt = url.indexOf('?')
  return queryAt === -1 ? [url, undefined] : [url.slice(0, queryAt), url.slice(queryAt + 1)]
}

function fail(
  { family, service }: Responder,
  { memory, replyAt }: Datagram,
  transactionId: number,
  failure: Failure,
): number {
  countUdpFailure(service.counters, family, failure)
  return formatErrorPacket(service.rules.failures, memory, replyAt, transactionId, failure)
}
