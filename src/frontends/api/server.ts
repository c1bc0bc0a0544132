import type { Admin } from '../../admin/admin.ts'
import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../../counters/frontend.ts'
import { socketAddress } from '../client-address.ts'
import { listen } from '../listen.ts'
import { loadUws, type TlsKeyPair } from '../uws.ts'
import { openExchange } from './exchange.ts'
import type { StaticFiles } from './pages/static-files.ts'
import { createResponder } from './respond.ts'

export type ApiServerOptions = {
  readonly host: string
  readonly port: number
  /** Speaks HTTPS with it, and no HTTP. */
  readonly tls?: TlsKeyPair | undefined
  readonly token: string
  /** Serves the API's document and Swagger UI, to everybody. */
  readonly swagger: boolean
  /** Whether users are kept by UUID or by number. */
  readonly userIdUuid: boolean
  readonly realIpHeader: string
  /** CIDR ranges whose `realIpHeader` is believed. */
  readonly trustedProxies: readonly string[]
  /** Whether their PROXY protocol is believed too. */
  readonly proxyProtocol: boolean
  /** Pages that are served to everybody, by path. */
  readonly pages?: StaticFiles
  /** Told of what was answered with 500, by operation. */
  onError(error: unknown, operation: string): void
}

/** The admin API on one address. */
export type ApiServer = {
  readonly port: number
  /** Requests that are not answered to the end. */
  readonly inFlight: number
  /** Takes no new connections; open ones go on. */
  stopListening(): void
  /** The same for when another server listens in its place already: no connection is refused, and open ones get one more answer. */
  handOver(): Promise<void>
  /** Closes every connection too. */
  close(): void
}

/** Starts the admin API on one address. Rejects when it cannot be listened on. */
export async function startApiServer(
  options: ApiServerOptions,
  admin: Admin,
  counters: FrontendCounters,
): Promise<ApiServer> {
  const app = loadUws().createApp(options.tls)
  let inFlight = 0
  let closing = false
  const respond = createResponder(options, admin)
  app.any('/*', (response, request) => {
    inFlight++
    const family = familyOf(socketAddress(response.getRemoteAddress()))
    countFrontend(counters, Protocol.http, family, FrontendCounter.api)
    const isHead = request.getMethod() === 'head'
    respond(
      openExchange(
        response,
        isHead,
        () => inFlight--,
        () => closing,
      ),
      request,
    )
  })
  const listening = await listen(app, options.host, options.port)
  return {
    port: listening.port,
    get inFlight() {
      return inFlight
    },
    stopListening: listening.stop,
    handOver() {
      closing = true
      return listening.handOver()
    },
    close() {
      listening.stop()
      app.close()
    },
  }
}
