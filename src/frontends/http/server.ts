import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../../counters/frontend.ts'
import { type Link, refusedFailure } from '../../link/link.ts'
import type { ExternalIp } from '../../protocol/external-ip.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import { type PathRules, TrackerPaths } from '../../protocol/http/path.ts'
import { bytesOfUtf8Query } from '../../protocol/http/raw-bytes.ts'
import { parseAnnounce, parseScrape } from '../../protocol/http/request.ts'
import { SCRAPE_HASHES_MAX } from '../../protocol/limits.ts'
import {
  ANNOUNCE_BYTES,
  HASH_BYTES,
  HASH_COUNT,
  KEY,
  Kind,
  SCRAPE_KEY,
  SCRAPE_REQUEST_HEADER_BYTES,
  SCRAPE_USER_KEY,
  USER_KEY,
} from '../../protocol/records.ts'
import { formatRtcReply, type RtcSignalling } from '../../protocol/rtctorrent.ts'
import { failureOfKeys } from '../../protocol/stopped-keys.ts'
import type { AcceptGuard } from '../accept-guard.ts'
import type {
  App,
  BackendName,
  ConnectionGate,
  HttpRequest,
  HttpResponse,
  TlsKeyPair,
} from '../adapter.ts'
import { chooseBackend, idleSeconds, loadBackend } from '../backends/choose.ts'
import {
  clientAddress,
  compileProxyRules,
  type ProxyRules,
  trustsAddress,
  writeClientAddress,
} from '../client-address.ts'
import { listen } from '../listen.ts'
import type { WebsocketRoute, WebsocketTracker } from '../websocket/tracker.ts'
import { HttpAnswers } from './answers.ts'
import {
  bencodedPage,
  HEALTHY,
  isHealthPath,
  loadIndexPage,
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  type Page,
  PREFLIGHT,
  UNHEALTHY,
} from './pages.ts'
import { isRtcQuery, readRtcRequest } from './rtctorrent.ts'

export type HttpServerOptions = {
  /** The implementation that serves HTTP; by default the one that `auto` chooses. */
  readonly backend?: BackendName
  readonly host: string
  readonly port: number
  /** With a pair the server speaks only HTTPS. */
  readonly tls?: TlsKeyPair | undefined
  readonly realIpHeader: string
  /** CIDR ranges of the proxies whose `realIpHeader` is accepted. */
  readonly trustedProxies: readonly string[]
  /** Whether their PROXY headers are accepted too. The backend must be `node`. */
  readonly proxyProtocol: boolean
  readonly usePayloadIp: boolean
  /** Addresses that public clients get in place of the private addresses of peers. */
  readonly externalIp?: ExternalIp | undefined
  /** The keys that a path must contain. */
  readonly pathRules: PathRules
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Seconds. */
  readonly minInterval: number
  /** Texts and intervals of failures. */
  readonly failures: FailureAnswers
  /** Answer to `GET /`: a URL to redirect to, or the path of an HTML file. */
  readonly index?: string
  /** Seconds without a request after which an idle connection is closed (node:http). */
  readonly idleTimeout?: number
  /** Whether the server also serves the WebTorrent tracker. */
  readonly websocket: boolean
  /** Seconds between announces over WebSocket. */
  readonly websocketInterval: number
  /** Whether announces of RtcTorrent clients are answered. The backend must be `node`. */
  readonly rtctorrent?: boolean
  /** Seconds between their announces. */
  readonly rtcInterval?: number
}

/** Services of a server besides the link. */
export type HttpServices = {
  readonly websocket?: WebsocketTracker | undefined
  readonly gate?: ConnectionGate | undefined
  readonly acceptGuard?: AcceptGuard | undefined
  readonly signalling?: RtcSignalling | undefined
}

/** An HTTP tracker on one address. */
export type HttpServer = {
  readonly port: number
  /** Seconds after which an idle connection is closed. */
  readonly idleSeconds: number
  /** Open connections; undefined where the backend does not report them. */
  readonly connections: number | undefined
  /** Requests that are not answered yet. */
  readonly inFlight: number
  /** Open WebSockets of this server. */
  readonly webSockets: number
  /** Accepts no new connections; open ones stay. */
  stopListening(): void
  /**
   * Stops listening after another server has taken over the address: no connection is refused, and
   * an open one gets one more answer.
   */
  handOver(): Promise<void>
  closeWebSockets(): void
  /** Closes the listener and every connection. */
  close(): void
}

/** Seconds between announces of RtcTorrent clients. */
const RTC_INTERVAL = 30

/** Space for the longest scrape record; only the part that is used is submitted. */
const SCRAPE_BYTES_MAX = SCRAPE_REQUEST_HEADER_BYTES + SCRAPE_HASHES_MAX * HASH_BYTES

/** Everything that answers the requests of one HTTP tracker. */
type Listener = {
  readonly options: HttpServerOptions
  readonly paths: TrackerPaths
  readonly proxies: ProxyRules
  readonly link: Link
  readonly answers: HttpAnswers
  readonly counters: FrontendCounters
  readonly index: Page | undefined
  readonly signalling: RtcSignalling | undefined
  /** Whether the backend decodes queries as UTF-8. */
  readonly isUtf8: boolean
}

/**
 * Starts an HTTP tracker that asks the engine over `link`. Rejects when it cannot listen on the
 * address.
 */
export async function startHttpServer(
  options: HttpServerOptions,
  link: Link,
  counters: FrontendCounters,
  { acceptGuard, gate, signalling, websocket }: HttpServices = {},
): Promise<HttpServer> {
  const { backend: name = chooseBackend('auto').backend, idleTimeout, pathRules, tls } = options
  const backend = loadBackend(name)
  const proxies = compileProxyRules(options)
  const believesProxyHeader = proxies.proxyProtocol ? trustsAddress(proxies) : undefined
  const app = backend.createApp({ tls, idleTimeout, gate, believesProxyHeader })
  const { failures, websocketInterval: interval } = options
  const answers = new HttpAnswers(options, counters)
  const paths = new TrackerPaths(pathRules)
  const route: WebsocketRoute = { proxies, paths, interval, failures }
  if (options.websocket) websocket?.addRoute(app, route)
  const index = loadIndexPage(options.index ?? '')
  const isUtf8 = name === 'uws'
  const listener = { options, paths, proxies, link, answers, counters, index, signalling, isUtf8 }
  addRoutes(app, listener)
  const listening = await listen(backend, app, options.host, options.port, acceptGuard)
  return {
    port: listening.port,
    idleSeconds: idleSeconds(backend, idleTimeout),
    get connections() {
      return app.openConnections
    },
    get inFlight() {
      return answers.waiting
    },
    get webSockets() {
      return websocket?.openSockets(route) ?? 0
    },
    stopListening: listening.stop,
    async handOver() {
      answers.closing = true
      await listening.handOver()
    },
    closeWebSockets: () => websocket?.closeSockets(route),
    close() {
      listening.stop()
      app.close()
    },
  }
}

function addRoutes(app: App, listener: Listener): void {
  const { paths } = listener
  for (const [path, kind] of paths.literals) {
    if (kind === Kind.announce) {
      app.any(path, (response, request) => announce(listener, response, request, path))
    } else app.any(path, (response, request) => scrape(listener, response, request, path))
  }
  app.any('/*', (response, request) => {
    const path = request.getUrl()
    const kind = paths.kindOf(path)
    if (kind === Kind.announce) announce(listener, response, request, path)
    else if (kind === Kind.scrape) scrape(listener, response, request, path)
    else other(listener, response, request, path)
  })
}

function announce(listener: Listener, response: HttpResponse, request: HttpRequest, path: string) {
  const { answers, link, options, paths, proxies } = listener
  if (!isReadable(request)) return refuse(listener, response, request)
  const address = clientAddress(response, request, proxies)
  const at = link.reserve(ANNOUNCE_BYTES)
  if (at === -1) return answers.fail(response, request, address, refusedFailure(link))
  const { open } = link
  const query = queryOf(listener, request)
  const keyFailure = paths.readAnnounceKeys(path, query, open, at + KEY, at + USER_KEY)
  const fault =
    (address ? writeClientAddress(address, open, at) : Failure.unknownOrigin) ||
    parseAnnounce(query, open, at, options)
  // The keys of an RtcTorrent client are read again, from the rest of its query.
  if (options.rtctorrent && isSignalling(fault, query)) {
    return signal(listener, response, request, path)
  }
  const failure = fault === Failure.none ? failureOfKeys(open, at, keyFailure) : keyFailure || fault
  if (failure !== Failure.none || !address) {
    return answers.fail(response, request, address, failure)
  }
  link.submit(at, ANNOUNCE_BYTES, answers.announce(response, request, address))
}

function isSignalling(fault: Failure, query: string): boolean {
  if (fault === Failure.rtctorrentDisabled) return true
  return fault === Failure.queryTooLong && isRtcQuery(query)
}

/** Answers an announce of an RtcTorrent client. */
function signal(listener: Listener, response: HttpResponse, request: HttpRequest, path: string) {
  const { answers, options, paths, proxies, signalling } = listener
  const address = clientAddress(response, request, proxies)
  const query = request.getQuery() ?? ''
  const asked = readRtcRequest(path, query, address, paths, options)
  if (typeof asked === 'number' || !signalling) {
    const failure = typeof asked === 'number' ? asked : Failure.unavailable
    return answers.fail(response, request, address, failure)
  }
  const answer = answers.later(response, request, address)
  signalling(asked).then(
    reply => {
      if (reply.failure !== Failure.none) return answer(reply.failure)
      answer(bencodedPage(formatRtcReply(reply, options.rtcInterval ?? RTC_INTERVAL)))
    },
    () => answer(Failure.unavailable),
  )
}

/** The query with a character for each byte. */
function queryOf({ isUtf8 }: Listener, request: HttpRequest): string {
  const query = request.getQuery() ?? ''
  return isUtf8 ? bytesOfUtf8Query(query) : query
}

function scrape(listener: Listener, response: HttpResponse, request: HttpRequest, path: string) {
  const { answers, link, paths, proxies } = listener
  if (!isReadable(request)) return refuse(listener, response, request)
  const address = clientAddress(response, request, proxies)
  const at = link.reserve(SCRAPE_BYTES_MAX)
  if (at === -1) return answers.fail(response, request, address, refusedFailure(link))
  const { open } = link
  const query = queryOf(listener, request)
  const failure =
    paths.readScrapeKeys(path, query, open, at + SCRAPE_KEY, at + SCRAPE_USER_KEY) ||
    parseScrape(query, open, at)
  if (failure !== Failure.none) return answers.fail(response, request, address, failure)
  const hashes = open.view.getUint16(at + HASH_COUNT, true) * HASH_BYTES
  const bytes = SCRAPE_REQUEST_HEADER_BYTES + hashes
  link.submit(at, bytes, answers.scrape(response, request, address))
}

/** Answers a path that is neither an announce nor a scrape. */
function other(listener: Listener, response: HttpResponse, request: HttpRequest, path: string) {
  const { answers, index, link } = listener
  const method = request.getMethod()
  const isPreflight = method === 'options' && request.getHeader('origin') !== ''
  if (isHealthPath(path) && !isPreflight && (isReadable(request) || method === 'options')) {
    const isUp = link.reserve(ANNOUNCE_BYTES) !== -1
    const page = isUp ? HEALTHY : UNHEALTHY
    return answers.page(response, request, path === '/' && index ? index : page)
  }
  if (method === 'options' || isHealthPath(path)) return refuse(listener, response, request)
  count(listener, response, request, FrontendCounter.notFound)
  answers.page(response, request, NOT_FOUND)
}

/** Answers a method that does not announce or scrape. */
function refuse(listener: Listener, response: HttpResponse, request: HttpRequest) {
  if (request.getMethod() === 'options') {
    return listener.answers.page(response, request, PREFLIGHT)
  }
  count(listener, response, request, FrontendCounter.refused)
  listener.answers.page(response, request, METHOD_NOT_ALLOWED)
}

function count(
  { counters, proxies }: Listener,
  response: HttpResponse,
  request: HttpRequest,
  counter: FrontendCounter,
): void {
  const family = familyOf(clientAddress(response, request, proxies))
  countFrontend(counters, Protocol.http, family, counter)
}

function isReadable(request: HttpRequest): boolean {
  const method = request.getMethod()
  return method === 'get' || method === 'head'
}
