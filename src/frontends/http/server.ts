import type { Link } from '../../link/link.ts'
import { ANNOUNCE_BYTES, HASH_BYTES } from '../../protocol/announce-record.ts'
import { Failure } from '../../protocol/failures.ts'
import { parseAnnounce, parseScrape } from '../../protocol/http-request.ts'
import { SCRAPE_HASHES_MAX } from '../../protocol/limits.ts'
import { HASH_COUNT, SCRAPE_HEADER_BYTES } from '../../protocol/scrape-record.ts'
import {
  clientAddress,
  compileCidrs,
  type ProxyRules,
  writeClientAddress,
} from '../client-address.ts'
import {
  type App,
  type HttpRequest,
  type HttpResponse,
  type ListenSocket,
  loadUws,
} from '../uws.ts'
import { createAnswers, type HttpAnswers } from './answers.ts'

export type HttpServerOptions = {
  readonly host: string
  readonly port: number
  readonly realIpHeader: string
  /** CIDR ranges whose `realIpHeader` is believed. */
  readonly trustedProxies: readonly string[]
  /** Whether their PROXY protocol is believed too. */
  readonly proxyProtocol: boolean
  readonly usePayloadIp: boolean
  readonly numwantDefault: number
  readonly numwantMaximum: number
  /** Seconds. */
  readonly minInterval: number
}

/** An HTTP tracker on one address. */
export type HttpServer = {
  readonly port: number
  /** Requests that wait for the engine. */
  readonly inFlight: number
  /** Takes no new connections; open ones go on. */
  stopListening(): void
  /** Closes every connection too. */
  close(): void
}

/** Room for the longest scrape, of which only what was asked about is sent. */
const SCRAPE_BYTES_MAX = SCRAPE_HEADER_BYTES + SCRAPE_HASHES_MAX * HASH_BYTES

/** Starts an HTTP tracker that asks the engine over `link`. Rejects when the address cannot be listened on. */
export async function startHttpServer(options: HttpServerOptions, link: Link): Promise<HttpServer> {
  const uws = loadUws()
  const app = uws.createApp()
  const answers = createAnswers(options.minInterval)
  addRoutes(app, options, link, answers)
  const socket = await new Promise<ListenSocket>((resolve, reject) => {
    app.listen(options.host, options.port, listening => {
      if (listening) resolve(listening)
      else reject(new Error(`cannot listen on ${options.host} port ${options.port}`))
    })
  })
  let listening = true
  const stopListening = () => {
    if (listening) uws.closeListenSocket(socket)
    listening = false
  }
  return {
    port: uws.localPort(socket),
    get inFlight() {
      return answers.waiting
    },
    stopListening,
    close() {
      stopListening()
      app.close()
    },
  }
}

function addRoutes(app: App, options: HttpServerOptions, link: Link, answers: HttpAnswers): void {
  const rules: ProxyRules = {
    trusted: compileCidrs(options.trustedProxies),
    header: options.realIpHeader.toLowerCase(),
    proxyProtocol: options.proxyProtocol,
  }
  app.any('/announce', (response, request) => {
    if (!isReadable(response, request)) return
    const address = clientAddress(response, request, rules)
    const at = link.reserve(ANNOUNCE_BYTES)
    if (at === -1) return answers.fail(response, request, busyOrBroken(link))
    const failure = address ? writeClientAddress(address, link.open, at) : Failure.unknownOrigin
    const code = failure || parseAnnounce(request.getQuery() ?? '', link.open, at, options)
    if (code !== Failure.none || !address) return answers.fail(response, request, code)
    link.submit(at, ANNOUNCE_BYTES, answers.expectAnnounce(response, request, address))
  })
  app.any('/scrape', (response, request) => {
    if (!isReadable(response, request)) return
    const at = link.reserve(SCRAPE_BYTES_MAX)
    if (at === -1) return answers.fail(response, request, busyOrBroken(link))
    const failure = parseScrape(request.getQuery() ?? '', link.open, at)
    if (failure !== Failure.none) return answers.fail(response, request, failure)
    const bytes = SCRAPE_HEADER_BYTES + link.open.view.getUint16(at + HASH_COUNT, true) * HASH_BYTES
    link.submit(at, bytes, answers.expectScrape(response, request))
  })
  app.any('/*', response => {
    response.cork(() => {
      response
        .writeStatus('404 Not Found')
        .writeHeader('content-type', 'text/plain')
        .end('unknown request')
    })
  })
}

function busyOrBroken(link: Link): Failure {
  return link.waiting > 0 ? Failure.overloaded : Failure.unavailable
}

/** Refuses what is neither GET nor HEAD, and closes: a body may follow that nobody reads. */
function isReadable(response: HttpResponse, request: HttpRequest): boolean {
  const method = request.getMethod()
  if (method === 'get' || method === 'head') return true
  response.cork(() => {
    response
      .writeStatus('405 Method Not Allowed')
      .writeHeader('allow', 'GET, HEAD')
      .writeHeader('content-type', 'text/plain')
      .end('only GET and HEAD', true)
  })
  return false
}
