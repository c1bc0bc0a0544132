import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../../counters/frontend.ts'
import type { Link } from '../../link/link.ts'
import { Failure, type FailureAnswers } from '../../protocol/failures.ts'
import { type PathRules, parsePathKeys, pathKind } from '../../protocol/http/path.ts'
import { parseAnnounce, parseScrape } from '../../protocol/http/request.ts'
import { compileCidrs } from '../../protocol/ip.ts'
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
import { clientAddress, type ProxyRules, writeClientAddress } from '../client-address.ts'
import { listen } from '../listen.ts'
import { type App, type HttpRequest, type HttpResponse, loadUws, type TlsKeyPair } from '../uws.ts'
import type { WebsocketRoute, WebsocketTracker } from '../websocket/tracker.ts'
import { createAnswers, type HttpAnswers } from './answers.ts'

export type HttpServerOptions = {
  readonly host: string
  readonly port: number
  /** Speaks HTTPS with it, and no HTTP. */
  readonly tls?: TlsKeyPair | undefined
  readonly realIpHeader: string
  /** CIDR ranges whose `realIpHeader` is believed. */
  readonly trustedProxies: readonly string[]
  /** Whether their PROXY protocol is believed too. */
  readonly proxyProtocol: boolean
  readonly usePayloadIp: boolean
  /** The keys that a path must name. */
  readonly pathRules: PathRules
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Seconds. */
  readonly minInterval: number
  /** Texts and intervals of failures. */
  readonly failures: FailureAnswers
  /** Whether the WebTorrent tracker is served there too. */
  readonly websocket: boolean
  /** Seconds between announces over WebSocket. */
  readonly websocketInterval: number
}

/** An HTTP tracker on one address. */
export type HttpServer = {
  readonly port: number
  /** Requests that wait for the engine. */
  readonly inFlight: number
  /** Takes no new connections; open ones go on. */
  stopListening(): void
  /** The same for when another server listens in its place already: no connection is refused, and open ones get one more answer. */
  handOver(): Promise<void>
  /** Closes every connection too. */
  close(): void
}

/** Room for the longest scrape, of which only what was asked about is sent. */
const SCRAPE_BYTES_MAX = SCRAPE_REQUEST_HEADER_BYTES + SCRAPE_HASHES_MAX * HASH_BYTES

/** Starts an HTTP tracker that asks the engine over `link`. Rejects when the address cannot be listened on. */
export async function startHttpServer(
  options: HttpServerOptions,
  link: Link,
  counters: FrontendCounters,
  websocket?: WebsocketTracker,
): Promise<HttpServer> {
  const app = loadUws().createApp(options.tls)
  const answers = createAnswers(options.minInterval, options.failures, counters)
  const proxies: ProxyRules = {
    trusted: compileCidrs(options.trustedProxies),
    header: options.realIpHeader.toLowerCase(),
    proxyProtocol: options.proxyProtocol,
  }
  const { pathRules, websocketInterval: interval, failures } = options
  const route: WebsocketRoute = { proxies, pathRules, interval, failures }
  if (options.websocket) websocket?.addRoute(app, route)
  addRoutes(app, options, proxies, link, answers, counters)
  const listening = await listen(app, options.host, options.port)
  return {
    port: listening.port,
    get inFlight() {
      return answers.waiting
    },
    stopListening: listening.stop,
    async handOver() {
      answers.closing = true
      await listening.handOver()
      websocket?.closeSockets(route)
    },
    close() {
      listening.stop()
      app.close()
    },
  }
}

function addRoutes(
  app: App,
  options: HttpServerOptions,
  rules: ProxyRules,
  link: Link,
  answers: HttpAnswers,
  counters: FrontendCounters,
): void {
  const countOther = (response: HttpResponse, request: HttpRequest, counter: FrontendCounter) => {
    const family = familyOf(clientAddress(response, request, rules))
    countFrontend(counters, Protocol.http, family, counter)
  }
  const refuse = (response: HttpResponse, request: HttpRequest) => {
    countOther(response, request, FrontendCounter.refused)
    refuseMethod(response)
  }
  const announce = (response: HttpResponse, request: HttpRequest, path: string) => {
    if (!isReadable(request)) return refuse(response, request)
    const address = clientAddress(response, request, rules)
    const at = link.reserve(ANNOUNCE_BYTES)
    if (at === -1) return answers.fail(response, request, address, busyOrBroken(link))
    const { open } = link
    const failure =
      parsePathKeys(path, options.pathRules, open, at + KEY, at + USER_KEY) ||
      (address ? writeClientAddress(address, open, at) : Failure.unknownOrigin) ||
      parseAnnounce(request.getQuery() ?? '', open, at, options)
    if (failure !== Failure.none || !address) {
      return answers.fail(response, request, address, failure)
    }
    link.submit(at, ANNOUNCE_BYTES, answers.expectAnnounce(response, request, address))
  }
  const scrape = (response: HttpResponse, request: HttpRequest, path: string) => {
    if (!isReadable(request)) return refuse(response, request)
    const address = clientAddress(response, request, rules)
    const at = link.reserve(SCRAPE_BYTES_MAX)
    if (at === -1) return answers.fail(response, request, address, busyOrBroken(link))
    const { open } = link
    const { pathRules } = options
    const failure =
      (pathRules.anonymousScrape
        ? Failure.none
        : parsePathKeys(path, pathRules, open, at + SCRAPE_KEY, at + SCRAPE_USER_KEY)) ||
      parseScrape(request.getQuery() ?? '', open, at)
    if (failure !== Failure.none) return answers.fail(response, request, address, failure)
    const hashes = open.view.getUint16(at + HASH_COUNT, true) * HASH_BYTES
    const bytes = SCRAPE_REQUEST_HEADER_BYTES + hashes
    link.submit(at, bytes, answers.expectScrape(response, request, address))
  }
  app.any('/announce', (response, request) => announce(response, request, '/announce'))
  app.any('/scrape', (response, request) => scrape(response, request, '/scrape'))
  app.any('/*', (response, request) => {
    const path = request.getUrl()
    const kind = pathKind(path)
    if (kind === Kind.announce) return announce(response, request, path)
    if (kind === Kind.scrape) return scrape(response, request, path)
    countOther(response, request, FrontendCounter.notFound)
    response.cork(() => {
      response
        .writeStatus('404 Not Found')
        .writeHeader('content-type', 'text/plain')
        .end('unknown request', answers.closing)
    })
  })
}

function busyOrBroken(link: Link): Failure {
  return link.waiting > 0 ? Failure.overloaded : Failure.unavailable
}

function isReadable(request: HttpRequest): boolean {
  const method = request.getMethod()
  return method === 'get' || method === 'head'
}

/** Closes, too: a body may follow that nobody reads. */
function refuseMethod(response: HttpResponse): void {
  response.cork(() => {
    response
      .writeStatus('405 Method Not Allowed')
      .writeHeader('allow', 'GET, HEAD')
      .writeHeader('content-type', 'text/plain')
      .end('only GET and HEAD', true)
  })
}
