import { countFailure, countFrontend, FrontendCounter, Protocol } from '../../counters/frontend.ts'
import { refusedFailure } from '../../link/link.ts'
import type { Bytes } from '../../protocol/bytes.ts'
import { Failure } from '../../protocol/failures.ts'
import { formatAddress } from '../../protocol/ip.ts'
import {
  CLIENT_ADDRESS,
  COMPACT_BYTES,
  CONNECTION_SOCKET,
  CONNECTION_WORKER,
  Event,
  FAILURE,
  Family,
  HASH_BYTES,
  KEY,
  LEECHERS,
  PEER_COUNT,
  REPLY_HEADER_BYTES,
  SCRAPE_KEY,
  SEEDERS,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../../protocol/records.ts'
import {
  type AnnounceMessage,
  type AnswerMessage,
  type FailedMessage,
  formatAnnounce,
  formatAnswer,
  formatFailure,
  formatOffer,
  formatScrape,
  type Offer,
  parseMessage,
  readPeerId,
  type ScrapeMessage,
  scrapeRecordBytes,
  writeAnnounceRecord,
  writeScrapeRecord,
} from '../../protocol/websocket/message.ts'
import { offerCost } from './awaited-offers.ts'
import { FAULTS } from './limits.ts'
import type { Relayed } from './relay.ts'
import { writeConnection } from './removal.ts'
import type { Session } from './session.ts'
import { monotonicSeconds, type Tracker } from './state.ts'

/** Close code of RFC 6455, section 7.4.1. */
const POLICY_VIOLATION = 1008
/** Status of WebSocket.send when the message is not queued. */
const DROPPED = 2

/** Handles a message of the socket, regardless of the rates. */
export function handleMessage(tracker: Tracker, session: Session, text: string): void {
  const message = parseMessage(text, tracker.limits.descriptionBytes)
  if (message.kind === 'announce') onAnnounce(tracker, session, message)
  else if (message.kind === 'answer') onAnswer(tracker, session, message)
  else if (message.kind === 'scrape') onScrape(tracker, session, message)
  else onFault(tracker, session, message)
}

/** Sends an offer or an answer to the socket of this process that it is for. */
export function deliver(tracker: Tracker, message: Relayed): void {
  const session = tracker.sessions.get(message.socket)
  const isDelivered =
    session?.has(message.infoHash, message.peerId) === true &&
    (!message.offer || admitOffer(tracker, session, message)) &&
    send(session, message.text)
  const counter = isDelivered ? FrontendCounter.relayed : FrontendCounter.dropped
  const family = session?.handshake.family ?? Family.ipv4
  countFrontend(tracker.counters, Protocol.websocket, family, counter)
}

/**
 * Whether the socket may receive the offer. A maker that exceeds its rate does not affect other
 * makers.
 */
function admitOffer(tracker: Tracker, session: Session, message: Relayed): boolean {
  const { infoHash, offer, text } = message
  const { limits } = tracker
  if (!offer || session.socket.getBufferedAmount() > limits.offerBacklog) return false
  const size = { cost: offerCost(text), torrents: session.peerCount, now: monotonicSeconds() }
  return session.awaited.admit(infoHash, offer, size, limits)
}

function send(session: Session, text: string): boolean {
  return !session.isClosed && session.socket.send(text) !== DROPPED
}

export function count(tracker: Tracker, session: Session, counter: FrontendCounter): void {
  countFrontend(tracker.counters, Protocol.websocket, session.handshake.family, counter)
}

/** Reports to the client why a message is refused. */
export function fail(
  tracker: Tracker,
  session: Session,
  failure: Failure,
  action?: 'announce' | 'scrape',
  infoHash?: string,
): void {
  const { family, route } = session.handshake
  countFailure(tracker.counters, Protocol.websocket, family, failure)
  send(session, formatFailure(route.failures, failure, action, infoHash))
}

/** Closes the socket of an abusive client. */
export function closeAbusive(tracker: Tracker, session: Session, reason: string): void {
  count(tracker, session, FrontendCounter.refused)
  tracker.refusals.report(`WebSocket closed: ${reason}`, { client: clientText(session) })
  session.socket.end(POLICY_VIOLATION, reason)
}

function onFault(tracker: Tracker, session: Session, message: FailedMessage): void {
  const isFault = message.failure !== Failure.descriptionTooLong
  if (isFault && !session.faults.take(1, monotonicSeconds(), FAULTS)) {
    closeAbusive(tracker, session, 'too many invalid messages')
    return
  }
  fail(tracker, session, message.failure, message.action, message.infoHash)
}

function onAnnounce(tracker: Tracker, session: Session, message: AnnounceMessage) {
  const { infoHash, peerId } = message
  const { handshake } = session
  const { link } = tracker
  const refuse = (failure: Failure) => fail(tracker, session, failure, 'announce', infoHash)
  if (handshake.keyFailure !== Failure.none) return refuse(handshake.keyFailure)
  if (message.event !== Event.stopped && !session.has(infoHash, peerId)) {
    if (!canJoin(tracker, session)) return refuse(Failure.tooManyOnConnection)
    if (!session.join(infoHash, peerId)) return refuse(Failure.tooManyOnConnection)
  }
  const at = link.reserve(WEBSOCKET_ANNOUNCE_BYTES)
  if (at === -1) return refuse(refusedFailure(link))
  writeAnnounceRecord(message, link.open, at)
  writeConnection(link.open, at, tracker.worker, session.number)
  link.open.u8.set(handshake.client, at + CLIENT_ADDRESS)
  link.open.u8.set(handshake.keys, at + KEY)
  tracker.inFlight++
  link.submit(at, WEBSOCKET_ANNOUNCE_BYTES, {
    reply(bytes, replyAt) {
      tracker.inFlight--
      onAnnounceReply(tracker, session, message, bytes, replyAt)
    },
    fail(failure) {
      tracker.inFlight--
      refuse(failure)
    },
  })
}

function canJoin({ limits }: Tracker, { peerCount, use }: Session): boolean {
  const { torrentsPerAddress, torrentsPerSocket } = limits
  return (
    (torrentsPerSocket === 0 || peerCount < torrentsPerSocket) &&
    (torrentsPerAddress === 0 || use.torrents < torrentsPerAddress)
  )
}

function onAnnounceReply(
  tracker: Tracker,
  session: Session,
  message: AnnounceMessage,
  bytes: Bytes,
  at: number,
) {
  const { infoHash } = message
  const failure = bytes.u8[at + FAILURE] as Failure
  trackPeer(tracker, session, message, failure === Failure.none)
  if (failure !== Failure.none) return fail(tracker, session, failure, 'announce', infoHash)
  count(tracker, session, FrontendCounter.announce)
  const seeders = bytes.view.getUint32(at + SEEDERS, true)
  const leechers = bytes.view.getUint32(at + LEECHERS, true)
  send(session, formatAnnounce(infoHash, session.handshake.route.interval, seeders, leechers))
  relayOffers(tracker, session, message, bytes, at)
}

/**
 * Keeps the session's peers in step with the swarm, so that no peer outlives its connection. A
 * `stopped` that a rule refuses still removes the peer. A peer whose connection closed while it was
 * announced, or which announced again before its `stopped` was answered, is in the swarm.
 */
function trackPeer(
  { removal }: Tracker,
  session: Session,
  { event, infoHash, peerId }: AnnounceMessage,
  isAccepted: boolean,
): void {
  if (event === Event.stopped) {
    if (!isAccepted) removal.remove(session.number, { infoHash, peerId })
    session.leave(infoHash, peerId)
  } else if (isAccepted && session.isClosed) removal.remove(session.number, { infoHash, peerId })
  else if (isAccepted && !session.has(infoHash, peerId)) session.join(infoHash, peerId)
}

/** Relays one offer to each peer of the reply, as far as the maker's rates allow. */
function relayOffers(
  tracker: Tracker,
  session: Session,
  { infoHash, offers, peerId }: AnnounceMessage,
  { u8, view }: Bytes,
  at: number,
): void {
  const found = view.getUint16(at + PEER_COUNT[Family.websocket], true)
  const ids = at + REPLY_HEADER_BYTES + found * COMPACT_BYTES[Family.websocket]
  for (let n = 0; n < Math.min(found, offers.length); n++) {
    const peer = at + REPLY_HEADER_BYTES + n * COMPACT_BYTES[Family.websocket]
    const offer = offers[n] as Offer
    const text = formatOffer(infoHash, peerId, offer)
    if (!payForOffer(tracker, session, text)) {
      count(tracker, session, FrontendCounter.dropped)
      continue
    }
    relay(tracker, session, {
      worker: view.getUint32(peer + CONNECTION_WORKER, true),
      socket: view.getUint32(peer + CONNECTION_SOCKET, true),
      infoHash,
      peerId: readPeerId(u8, ids + n * HASH_BYTES),
      text,
      offer: {
        worker: tracker.worker,
        socket: session.number,
        peerId,
        offerId: offer.offerId,
        address: session.handshake.counted,
      },
    })
  }
}

function payForOffer({ limits }: Tracker, session: Session, text: string): boolean {
  const now = monotonicSeconds()
  const cost = offerCost(text)
  return (
    session.offers.take(cost, now, limits.offers) &&
    session.use.offers.take(cost, now, limits.offersPerAddress)
  )
}

/**
 * The recipient's process counts the messages that it delivers; this one counts those that do not
 * arrive there.
 */
function relay(tracker: Tracker, from: Session, message: Relayed): void {
  if (!tracker.relay.send(message)) count(tracker, from, FrontendCounter.dropped)
}

/**
 * Relays an answer. Only a peer that received an offer can answer it, once, and only to its maker.
 */
function onAnswer(tracker: Tracker, session: Session, message: AnswerMessage) {
  const { infoHash, offerId, peerId, toPeerId } = message
  const maker = session.has(infoHash, peerId)
    ? session.awaited.take(infoHash, toPeerId, offerId)
    : undefined
  if (!maker) return count(tracker, session, FrontendCounter.dropped)
  relay(tracker, session, {
    worker: maker.worker,
    socket: maker.socket,
    infoHash,
    peerId: toPeerId,
    text: formatAnswer(message),
    offer: undefined,
  })
}

function onScrape(tracker: Tracker, session: Session, message: ScrapeMessage) {
  const [only] = message.infoHashes.length === 1 ? message.infoHashes : []
  const refuse = (failure: Failure) => fail(tracker, session, failure, 'scrape', only)
  const { handshake } = session
  const { link } = tracker
  if (handshake.scrapeKeyFailure !== Failure.none) return refuse(handshake.scrapeKeyFailure)
  const recordBytes = scrapeRecordBytes(message)
  const at = link.reserve(recordBytes)
  if (at === -1) return refuse(refusedFailure(link))
  writeScrapeRecord(message, link.open, at)
  link.open.u8.set(handshake.keys, at + SCRAPE_KEY)
  tracker.inFlight++
  link.submit(at, recordBytes, {
    reply(bytes, replyAt) {
      tracker.inFlight--
      const failure = bytes.u8[replyAt + FAILURE] as Failure
      if (failure !== Failure.none) return refuse(failure)
      count(tracker, session, FrontendCounter.scrape)
      send(session, formatScrape(bytes, replyAt, handshake.route.interval))
    },
    fail(failure) {
      tracker.inFlight--
      refuse(failure)
    },
  })
}

function clientText({ handshake }: Session): string {
  const offset = handshake.family === Family.ipv4 ? 12 : 0
  return formatAddress(handshake.client, offset, 16 - offset)
}
