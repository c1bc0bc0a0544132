import type { Admin } from '../../admin/admin.ts'
import { socketAddress } from '../client-address.ts'
import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../counters.ts'
import { type App, type ListenSocket, loadUws, type TlsKeyPair } from '../uws.ts'
import type { Certificates } from './certificates.ts'
import { openExchange } from './exchange.ts'
import { createResponder } from './respond.ts'
import type { StaticFiles } from './static-files.ts'

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
  readonly certificates?: Certificates
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
  /** Closes every connection too. */
  close(): void
}

/** Starts the admin API on one address. Rejects when it cannot be listened on. */
export async function startApiServer(
  options: ApiServerOptions,
  admin: Admin,
  counters: FrontendCounters,
): Promise<ApiServer> {
  const uws = loadUws()
  const app = uws.createApp(options.tls)
  let inFlight = 0
  const respond = createResponder(options, admin)
  app.any('/*', (response, request) => {
    inFlight++
    const family = familyOf(socketAddress(response.getRemoteAddress()))
    countFrontend(counters, Protocol.http, family, FrontendCounter.api)
    const isHead = request.getMethod() === 'head'
    respond(
      openExchange(response, isHead, () => inFlight--),
      request,
    )
  })
  const socket = await listen(app, options)
  let listening = true
  const stopListening = () => {
    if (listening) uws.closeListenSocket(socket)
    listening = false
  }
  return {
    port: uws.localPort(socket),
    get inFlight() {
      return inFlight
    },
    stopListening,
    close() {
      stopListening()
      app.close()
    },
  }
}

function listen(app: App, { host, port }: ApiServerOptions): Promise<ListenSocket> {
  return new Promise((resolve, reject) => {
    app.listen(host, port, socket => {
      if (socket) resolve(socket)
      else reject(new Error(`cannot listen on ${host} port ${port}`))
    })
  })
}
