import type { Bytes } from '../bytes.ts'
import { Failure, type FailureAnswers, failureAnswer } from '../failures.ts'
import {
  OFFER_ID_CHARACTERS_MAX,
  OFFERS_MAX,
  SCRAPE_HASHES_MAX,
  TRANSFER_BYTES_MAX,
} from '../limits.ts'
import {
  DOWNLOADED,
  ENTRY_BYTES,
  ENTRY_COMPLETED,
  ENTRY_HASH,
  ENTRY_LEECHERS,
  ENTRY_SEEDERS,
  EVENT,
  Event,
  FAMILY,
  Family,
  FLAGS,
  HASH_BYTES,
  HASH_COUNT,
  INFO_HASH,
  KIND,
  Kind,
  LEFT,
  NUMWANT,
  PEER_ID,
  PORT,
  SCRAPE_HEADER_BYTES,
  SCRAPE_REQUEST_HEADER_BYTES,
  UPLOADED,
  writeU64,
} from '../records.ts'

/**
 * The messages of WebTorrent trackers, which no BEP describes: JSON, as the npm package
 * bittorrent-tracker defines it. Hashes and ids are strings of 20 characters, one for each byte.
 */

export type Offer = {
  readonly offerId: string
  /** A session description (RFC 8866). */
  readonly sdp: string
}

export type AnnounceMessage = {
  readonly kind: 'announce'
  readonly infoHash: string
  readonly peerId: string
  readonly event: Event
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
  /** Peers wanted, if the client says so; it gets at most one for each offer. */
  readonly numwant: number | undefined
  readonly offers: readonly Offer[]
}

/** An answer to an offer that the tracker relayed. It does not change the swarm. */
export type AnswerMessage = {
  readonly kind: 'answer'
  readonly infoHash: string
  readonly peerId: string
  readonly toPeerId: string
  readonly offerId: string
  readonly sdp: string
}

export type ScrapeMessage = { readonly kind: 'scrape'; readonly infoHashes: readonly string[] }

/** A message that is refused, with the fields that the failure repeats. */
export type FailedMessage = {
  readonly kind: 'failure'
  readonly failure: Failure
  readonly action?: Action
  readonly infoHash?: string
}

export type Message = AnnounceMessage | AnswerMessage | ScrapeMessage | FailedMessage
type Action = 'announce' | 'scrape'

type Fields = { readonly [name: string]: unknown }

/**
 * Parses a message and never throws. A session description of more than `descriptionBytesMax` bytes
 * makes it a failure.
 */
export function parseMessage(text: string, descriptionBytesMax: number): Message {
  const fields = parseObject(text)
  if (!fields) return { kind: 'failure', failure: Failure.invalidJson }
  if (fields['action'] === 'announce') return parseAnnounce(fields, descriptionBytesMax)
  if (fields['action'] === 'scrape') return parseScrape(fields)
  return { kind: 'failure', failure: Failure.invalidAction }
}

function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether the value is a string of 20 characters up to U+00FF. */
function isHash(value: unknown): value is string {
  if (typeof value !== 'string' || value.length !== HASH_BYTES) return false
  for (let n = 0; n < HASH_BYTES; n++) if (value.charCodeAt(n) > 0xff) return false
  return true
}

function parseAnnounce(fields: Fields, descriptionBytesMax: number): Message {
  const { info_hash: infoHash, peer_id: peerId, offers, answer } = fields
  const action = 'announce'
  if (!isHash(infoHash)) {
    const missing = infoHash === undefined
    return {
      kind: 'failure',
      action,
      failure: missing ? Failure.missingInfoHash : Failure.invalidInfoHash,
    }
  }
  const failed = (failure: Failure): FailedMessage => ({
    kind: 'failure',
    action,
    infoHash,
    failure,
  })
  if (!isHash(peerId)) {
    return failed(peerId === undefined ? Failure.missingPeerId : Failure.invalidPeerId)
  }
  if (isObject(answer)) {
    const { to_peer_id: toPeerId, offer_id: offerId } = fields
    const sdp = descriptionOf(answer, 'answer')
    if (sdp === undefined || !isHash(toPeerId) || !isOfferId(offerId)) {
      return failed(Failure.invalidAnswer)
    }
    if (Buffer.byteLength(sdp) > descriptionBytesMax) return failed(Failure.descriptionTooLong)
    return { kind: 'answer', infoHash, peerId, toPeerId, offerId, sdp }
  }
  const made = parseOffers(offers)
  if (!made) return failed(Failure.invalidOffers)
  if (made.some(({ sdp }) => Buffer.byteLength(sdp) > descriptionBytesMax)) {
    return failed(Failure.descriptionTooLong)
  }
  return {
    kind: 'announce',
    infoHash,
    peerId,
    event: eventOf(fields['event']),
    uploaded: countOf(fields['uploaded']) ?? 0,
    downloaded: countOf(fields['downloaded']) ?? 0,
    // A client that does not know the torrent's size yet (magnet link) counts as a leecher.
    left: countOf(fields['left']) ?? TRANSFER_BYTES_MAX,
    numwant: countOf(fields['numwant']),
    offers: made,
  }
}

/** The first OFFERS_MAX offers; undefined if one of them is malformed. */
function parseOffers(offers: unknown): Offer[] | undefined {
  if (offers === undefined || offers === null) return []
  if (!Array.isArray(offers)) return undefined
  const made: Offer[] = []
  for (const entry of offers.slice(0, OFFERS_MAX) as unknown[]) {
    if (!isObject(entry)) return undefined
    const { offer, offer_id: offerId } = entry
    const sdp = isObject(offer) ? descriptionOf(offer, 'offer') : undefined
    if (sdp === undefined || !isOfferId(offerId)) return undefined
    made.push({ offerId, sdp })
  }
  return made
}

function descriptionOf({ type, sdp }: Fields, wanted: 'offer' | 'answer'): string | undefined {
  return type === wanted && typeof sdp === 'string' ? sdp : undefined
}

function isOfferId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= OFFER_ID_CHARACTERS_MAX
}

function eventOf(value: unknown): Event {
  const event = typeof value === 'string' ? value.toLowerCase() : ''
  if (event === 'started') return Event.started
  if (event === 'stopped') return Event.stopped
  return event === 'completed' ? Event.completed : Event.none
}

/** A number or its decimal digits as a string; undefined for anything else. */
function countOf(value: unknown): number | undefined {
  const isDigits = typeof value === 'string' && /^\d{1,20}$/.test(value)
  const number = isDigits ? Number(value) : value
  if (typeof number !== 'number' || !(number >= 0)) return undefined
  return Math.min(Math.floor(number), TRANSFER_BYTES_MAX)
}

/** A scrape without an info_hash, of all torrents as in the npm tracker, is refused. */
function parseScrape({ info_hash: wanted }: Fields): Message {
  const action = 'scrape'
  const infoHashes: unknown[] = Array.isArray(wanted) ? wanted : [wanted]
  if (wanted === undefined || infoHashes.length === 0) {
    return { kind: 'failure', action, failure: Failure.missingInfoHash }
  }
  if (infoHashes.length > SCRAPE_HASHES_MAX) {
    return { kind: 'failure', action, failure: Failure.tooManyHashes }
  }
  if (!infoHashes.every(isHash)) {
    return { kind: 'failure', action, failure: Failure.invalidInfoHash }
  }
  return { kind: 'scrape', infoHashes }
}

function writeText(text: string, u8: Uint8Array, at: number): void {
  for (let n = 0; n < text.length; n++) u8[at + n] = text.charCodeAt(n)
}

function readText(u8: Uint8Array, at: number): string {
  let text = ''
  for (let n = 0; n < HASH_BYTES; n++) text += String.fromCharCode(u8[at + n] as number)
  return text
}

/**
 * Writes the torrent and the peer to the record of this kind at `at`. The caller writes connection,
 * addresses and keys.
 */
export function writePeerRecord(
  kind: Kind,
  infoHash: string,
  peerId: string,
  into: Bytes,
  at: number,
): void {
  into.u8[at + KIND] = kind
  into.u8[at + FAMILY] = Family.websocket
  into.u8[at + FLAGS] = 0
  into.view.setUint16(at + PORT, 0, true)
  into.view.setUint16(at + NUMWANT, 0, true)
  writeText(infoHash, into.u8, at + INFO_HASH)
  writeText(peerId, into.u8, at + PEER_ID)
}

/** Writes an announce to the record at `at`. The caller writes connection, addresses and keys. */
export function writeAnnounceRecord(message: AnnounceMessage, into: Bytes, at: number): void {
  writePeerRecord(Kind.announce, message.infoHash, message.peerId, into, at)
  into.u8[at + EVENT] = message.event
  const { numwant = message.offers.length, offers } = message
  into.view.setUint16(at + NUMWANT, Math.min(numwant, offers.length), true)
  writeU64(into.view, at + UPLOADED, message.uploaded)
  writeU64(into.view, at + DOWNLOADED, message.downloaded)
  writeU64(into.view, at + LEFT, message.left)
}

/** Length in bytes of the record that `writeScrapeRecord` writes. */
export function scrapeRecordBytes({ infoHashes }: ScrapeMessage): number {
  return SCRAPE_REQUEST_HEADER_BYTES + infoHashes.length * HASH_BYTES
}

/** Writes a scrape to the record at `at`. The caller writes the keys. */
export function writeScrapeRecord({ infoHashes }: ScrapeMessage, into: Bytes, at: number): void {
  into.u8[at + KIND] = Kind.scrape
  into.view.setUint16(at + HASH_COUNT, infoHashes.length, true)
  infoHashes.forEach((hash, n) => {
    writeText(hash, into.u8, at + SCRAPE_REQUEST_HEADER_BYTES + n * HASH_BYTES)
  })
}

/** The peer id at `at` of a reply. */
export const readPeerId = readText

/** A failed message: its reason, and when to try again as in an HTTP answer (BEP 31). */
export function formatFailure(
  answers: FailureAnswers,
  failure: number,
  action?: Action,
  infoHash?: string,
): string {
  const { text, interval, retry } = failureAnswer(answers, failure)
  return JSON.stringify({
    action,
    'failure reason': text,
    interval,
    'min interval': interval,
    'retry in': retry === 'never' ? retry : Math.ceil(interval / 60),
    info_hash: infoHash,
  })
}

/** Reply to an announce; `interval` in seconds. */
export function formatAnnounce(
  infoHash: string,
  interval: number,
  complete: number,
  incomplete: number,
): string {
  return JSON.stringify({ action: 'announce', interval, complete, incomplete, info_hash: infoHash })
}

/** An offer, for the peer that answers it. */
export function formatOffer(infoHash: string, peerId: string, { offerId, sdp }: Offer): string {
  return JSON.stringify({
    action: 'announce',
    offer: { type: 'offer', sdp },
    offer_id: offerId,
    peer_id: peerId,
    info_hash: infoHash,
  })
}

/** An answer, for the peer that made the offer. */
export function formatAnswer({ infoHash, peerId, offerId, sdp }: AnswerMessage): string {
  return JSON.stringify({
    action: 'announce',
    answer: { type: 'answer', sdp },
    offer_id: offerId,
    peer_id: peerId,
    info_hash: infoHash,
  })
}

/** Reply to a scrape, from the scrape record at `at`; `minRequestInterval` in seconds. */
export function formatScrape(reply: Bytes, at: number, minRequestInterval: number): string {
  const files: Record<string, object> = {}
  for (let n = 0; n < reply.view.getUint16(at + HASH_COUNT, true); n++) {
    const entry = at + SCRAPE_HEADER_BYTES + n * ENTRY_BYTES
    files[readText(reply.u8, entry + ENTRY_HASH)] = {
      complete: reply.view.getUint32(entry + ENTRY_SEEDERS, true),
      incomplete: reply.view.getUint32(entry + ENTRY_LEECHERS, true),
      downloaded: reply.view.getUint32(entry + ENTRY_COMPLETED, true),
    }
  }
  return JSON.stringify({
    action: 'scrape',
    files,
    flags: { min_request_interval: minRequestInterval },
  })
}
