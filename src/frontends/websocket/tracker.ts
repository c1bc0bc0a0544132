import {
  countFailure,
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  Protocol,
} from '../../counters/frontend.ts'
import { type Link, refusedFailure } from '../../link/link.ts'
import { type Bytes, bytesOf } from '../../protocol/bytes.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import { type PathRules, parsePathKeys } from '../../protocol/http/path.ts'
import { WEBSOCKET_MESSAGE_BYTES_MAX } from '../../protocol/limits.ts'
import {
  CLIENT_ADDRESS,
  COMPACT_BYTES,
  CONNECTION_SOCKET,
  CONNECTION_WORKER,
  Event,
  FAILURE,
  Family,
  HASH_BYTES,
  type IpFamily,
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
  formatAnnounce,
  formatAnswer,
  formatFailure,
  formatOffer,
  formatScrape,
  parseMessage,
  readPeerId,
  type ScrapeMessage,
  scrapeRecordBytes,
  writeAnnounceRecord,
  writeScrapeRecord,
} from '../../protocol/websocket/message.ts'
import type { App, HttpRequest, UpgradeContext, UpgradeResponse, WebSocket } from '../adapter.ts'
import { clientAddress, type ProxyRules } from '../client-address.ts'
import {
  BAD_MESSAGE_COST,
  IDLE_SECONDS_MAX,
  SOCKET_QUEUE_BYTES_MAX,
  SOCKETS_PER_ADDRESS_MAX,
} from './limits.ts'
import { type Relayed, startRelay } from './relay.ts'
import { createLeaving, writeConnection } from './removal.ts'
import { type Arrival, type Connection, createConnection, peerName } from './session.ts'

export type WebsocketOptions = {
  /** Number of this process, by which others find its sockets. */
  readonly worker: number
  /** Unix socket of each worker; undefined where there is one process only. */
  readonly relayPath: ((worker: number) => string) | undefined
}

/** How sockets of one listener are told apart and let in. */
export type WebsocketRoute = {
  readonly proxies: ProxyRules
  readonly pathRules: PathRules
  /** Seconds between a client's announces. */
  readonly interval: number
  /** Texts and intervals of failures. */
  readonly failures: FailureAnswers
}

/** The WebTorrent tracker of one process, on as many listeners as it is given. */
export type WebsocketTracker = {
  /** Serves WebSockets on every path of the app; other requests are left to the other routes. */
  addRoute(app: App, route: WebsocketRoute): void
  /** Requests that wait for the engine. */
  readonly inFlight: number
  /** Closes every socket, or those of one route, with 1012, service restart (RFC 6455 §11.7), so that clients come back, to whoever listens then. */
  closeSockets(route?: WebsocketRoute): void
  close(): Promise<void>
}

/** Close codes of RFC 6455 §7.4. */
const POLICY_VIOLATION = 1008
const SERVICE_RESTART = 1012
const DROPPED = 2
const KEYS_BYTES = 2 * HASH_BYTES

const decoder = new TextDecoder()

/** Starts the tracker of this process, which asks the engine over `link`. Rejects when the relay's socket cannot be made. */
export async function startWebsocketTracker(
  options: WebsocketOptions,
  link: Link,
  counters: FrontendCounters,
): Promise<WebsocketTracker> {
  const { worker } = options
  const connections = new Map<number, Connection>()
  const perAddress = new Map<string, number>()
  const leaving = createLeaving(link, worker)
  const relay = await startRelay({ worker, pathOf: options.relayPath, deliver })
  let lastNumber = 0
  let waiting = 0

  const nowSeconds = () => performance.now() / 1000

  function send(connection: Connection, text: string): boolean {
    return !connection.isClosed && connection.socket.send(text) !== DROPPED
  }

  function count(connection: Connection, counter: FrontendCounter): void {
    countFrontend(counters, Protocol.websocket, connection.arrival.family, counter)
  }

  function fail(
    connection: Connection,
    failure: Failure,
    action?: 'announce' | 'scrape',
    infoHash?: string,
  ): void {
    countFailure(counters, Protocol.websocket, connection.arrival.family, failure)
    send(connection, formatFailure(connection.arrival.failures, failure, action, infoHash))
  }

  function deliver(message: Relayed): void {
    const connection = connections.get(message.socket)
    if (!connection?.peers.has(peerName(message.infoHash, message.peerId))) return
    if (message.offer) connection.awaitAnswer(message.infoHash, message.offer, nowSeconds())
    send(connection, message.text)
  }

  function pass(from: Connection, message: Relayed): void {
    const isPassed = relay.send(message)
    count(from, isPassed ? FrontendCounter.relayed : FrontendCounter.dropped)
  }

  function announce(connection: Connection, message: AnnounceMessage) {
    const { infoHash, peerId } = message
    const failed = (failure: Failure) => fail(connection, failure, 'announce', infoHash)
    const { arrival } = connection
    if (arrival.keyFailure !== Failure.none) return failed(arrival.keyFailure)
    const peer = peerName(infoHash, peerId)
    if (message.event === Event.stopped) connection.leave(peer)
    else if (!connection.join(peer)) return failed(Failure.tooManyOnConnection)
    const at = link.reserve(WEBSOCKET_ANNOUNCE_BYTES)
    if (at === -1) return failed(refusedFailure(link))
    writeAnnounceRecord(message, link.open, at)
    writeConnection(link.open, at, worker, connection.number)
    link.open.u8.set(arrival.client, at + CLIENT_ADDRESS)
    link.open.u8.set(arrival.keys, at + KEY)
    waiting++
    link.submit(at, WEBSOCKET_ANNOUNCE_BYTES, {
      reply(bytes, replyAt) {
        waiting--
        announced(connection, message, bytes, replyAt)
      },
      fail(failure) {
        waiting--
        failed(failure)
      },
    })
  }

  function announced(
    connection: Connection,
    message: AnnounceMessage,
    { u8, view }: Bytes,
    at: number,
  ) {
    const { infoHash, peerId } = message
    const failure = u8[at + FAILURE] as Failure
    if (failure !== Failure.none) return fail(connection, failure, 'announce', infoHash)
    count(connection, FrontendCounter.announce)
    const seeders = view.getUint32(at + SEEDERS, true)
    const leechers = view.getUint32(at + LEECHERS, true)
    send(connection, formatAnnounce(infoHash, connection.arrival.interval, seeders, leechers))
    const found = view.getUint16(at + PEER_COUNT[Family.websocket], true)
    const ids = at + REPLY_HEADER_BYTES + found * COMPACT_BYTES[Family.websocket]
    for (const [n, offer] of message.offers.slice(0, found).entries()) {
      const peer = at + REPLY_HEADER_BYTES + n * COMPACT_BYTES[Family.websocket]
      pass(connection, {
        worker: view.getUint32(peer + CONNECTION_WORKER, true),
        socket: view.getUint32(peer + CONNECTION_SOCKET, true),
        infoHash,
        peerId: readPeerId(u8, ids + n * HASH_BYTES),
        text: formatOffer(infoHash, peerId, offer),
        offer: { worker, socket: connection.number, peerId, offerId: offer.offerId },
      })
    }
  }

  /** Only who was passed an offer can answer it, and only to who made it. */
  function answer(connection: Connection, message: AnswerMessage) {
    const { infoHash, offerId, peerId, toPeerId } = message
    const isPeer = connection.peers.has(peerName(infoHash, peerId))
    const maker = isPeer ? connection.takeOffer(infoHash, toPeerId, offerId) : undefined
    if (!maker) return count(connection, FrontendCounter.dropped)
    pass(connection, {
      worker: maker.worker,
      socket: maker.socket,
      infoHash,
      peerId: toPeerId,
      text: formatAnswer(message),
      offer: undefined,
    })
  }

  function scrape(connection: Connection, message: ScrapeMessage) {
    const [only] = message.infoHashes.length === 1 ? message.infoHashes : []
    const failed = (failure: Failure) => fail(connection, failure, 'scrape', only)
    const { arrival } = connection
    if (arrival.keyFailure !== Failure.none) return failed(arrival.keyFailure)
    const recordBytes = scrapeRecordBytes(message)
    const at = link.reserve(recordBytes)
    if (at === -1) return failed(refusedFailure(link))
    writeScrapeRecord(message, link.open, at)
    link.open.u8.set(arrival.keys, at + SCRAPE_KEY)
    waiting++
    link.submit(at, recordBytes, {
      reply(bytes, replyAt) {
        waiting--
        const failure = bytes.u8[replyAt + FAILURE] as Failure
        if (failure !== Failure.none) return failed(failure)
        count(connection, FrontendCounter.scrape)
        send(connection, formatScrape(bytes, replyAt, arrival.interval))
      },
      fail(failure) {
        waiting--
        failed(failure)
      },
    })
  }

  function receive(connection: Connection, text: string): void {
    const message = parseMessage(text)
    const isBad = message.kind === 'failure'
    if (!connection.spend(isBad ? BAD_MESSAGE_COST : 1, nowSeconds())) {
      count(connection, FrontendCounter.refused)
      connection.socket.end(POLICY_VIOLATION, 'too many messages')
      return
    }
    if (message.kind === 'announce') announce(connection, message)
    else if (message.kind === 'answer') answer(connection, message)
    else if (message.kind === 'scrape') scrape(connection, message)
    else fail(connection, message.failure, message.action, message.infoHash)
  }

  function upgrade(
    response: UpgradeResponse<Arrival>,
    request: HttpRequest,
    context: UpgradeContext,
    route: WebsocketRoute,
  ): void {
    const address = clientAddress(response, request, route.proxies)
    const arrival = address && readArrival(address, request.getUrl(), route)
    const isCrowded = arrival && (perAddress.get(arrival.name) ?? 0) >= SOCKETS_PER_ADDRESS_MAX
    if (!arrival || isCrowded) {
      const family = arrival?.family ?? Family.ipv4
      countFrontend(counters, Protocol.websocket, family, FrontendCounter.refused)
      const status = arrival ? '429 Too Many Requests' : '400 Bad Request'
      response.cork(() => response.writeStatus(status).end('', true))
      return
    }
    response.upgrade(
      arrival,
      request.getHeader('sec-websocket-key'),
      request.getHeader('sec-websocket-protocol'),
      request.getHeader('sec-websocket-extensions'),
      context,
    )
  }

  function opened(socket: WebSocket<Arrival>): void {
    lastNumber = (lastNumber + 1) >>> 0
    const connection = createConnection(lastNumber, socket, nowSeconds())
    const { arrival } = connection
    arrival.connection = connection
    connections.set(connection.number, connection)
    perAddress.set(arrival.name, (perAddress.get(arrival.name) ?? 0) + 1)
    count(connection, FrontendCounter.connection)
  }

  function closed(socket: WebSocket<Arrival>): void {
    const { connection, name } = socket.getUserData()
    if (!connection) return
    connection.isClosed = true
    connections.delete(connection.number)
    const others = (perAddress.get(name) ?? 1) - 1
    if (others === 0) perAddress.delete(name)
    else perAddress.set(name, others)
    leaving.leave(connection.number, connection.peers)
  }

  return {
    addRoute(app, route) {
      app.ws<Arrival>('/*', {
        maxPayloadLength: WEBSOCKET_MESSAGE_BYTES_MAX,
        maxBackpressure: SOCKET_QUEUE_BYTES_MAX,
        closeOnBackpressureLimit: true,
        idleTimeout: IDLE_SECONDS_MAX,
        sendPingsAutomatically: true,
        upgrade: (response, request, context) => upgrade(response, request, context, route),
        open: opened,
        message(socket, message) {
          const { connection } = socket.getUserData()
          if (connection) receive(connection, decoder.decode(message))
        },
        close: closed,
      })
    },
    get inFlight() {
      return waiting + leaving.waiting
    },
    closeSockets(route) {
      for (const { arrival, socket } of [...connections.values()]) {
        if (!route || arrival.route === route) socket.end(SERVICE_RESTART, 'restart')
      }
    },
    async close() {
      leaving.close()
      await relay.close()
    },
  }
}

function readArrival(
  address: Uint8Array,
  path: string,
  route: WebsocketRoute,
): Arrival | undefined {
  const { interval, failures, pathRules } = route
  if (address.length === 0) return undefined
  const family: IpFamily = address.length === 16 ? Family.ipv6 : Family.ipv4
  const client = new Uint8Array(16)
  client.set(address, 16 - address.length)
  if (family === Family.ipv4) client.fill(0xff, 10, 12)
  const keys = bytesOf(new Uint8Array(KEYS_BYTES))
  return {
    family,
    client,
    name: Buffer.from(client).toString('latin1'),
    interval,
    failures,
    route,
    keyFailure: parsePathKeys(path, pathRules, keys, 0, HASH_BYTES),
    keys: keys.u8,
    connection: undefined,
  }
}
