import type { Admin } from '../../../admin/admin.ts'
import {
  countFrontend,
  FrontendCounter,
  type FrontendCounters,
  familyOf,
  Protocol,
} from '../../../counters/frontend.ts'
import type { AcceptGuard } from '../../accept-guard.ts'
import type { BackendName, ConnectionGate, TlsKeyPair } from '../../adapter.ts'
import { chooseBackend, idleSeconds, loadBackend } from '../../backends/choose.ts'
import { compileProxyRules, socketAddress, trustsAddress } from '../../client-address.ts'
import { listen } from '../../listen.ts'
import { Exchange } from './exchange.ts'
import { Responder, type ResponderOptions } from './respond.ts'

export type ApiServerOptions = ResponderOptions & {
  /** The implementation that serves HTTP; by default the one that `auto` chooses. */
  readonly backend?: BackendName
  readonly port: number
  /** Serves HTTPS with this key pair, and plain HTTP without one. */
  readonly tls?: TlsKeyPair | undefined
  /** Seconds without a request after which an idle connection is closed (node:http). */
  readonly idleTimeout?: number
}

/** The admin API on one address. */
export type ApiServer = {
  readonly port: number
  /** Seconds after which an idle connection is closed. */
  readonly idleSeconds: number
  /** Open connections; undefined where the backend does not report them. */
  readonly connections: number | undefined
  /** Requests whose answers are not complete. */
  readonly inFlight: number
  /** Accepts no new connections. Open connections stay. */
  stopListening(): void
  /**
   * Stops listening after another server has taken over the address: no connection is refused, and
   * an open one gets one more answer.
   */
  handOver(): Promise<void>
  /** Closes the listener and every connection. */
  close(): void
}

/** Starts the admin API on one address. Rejects if the address is not available. */
export async function startApiServer(
  options: ApiServerOptions,
  admin: Admin,
  counters: FrontendCounters,
  gate?: ConnectionGate,
  acceptGuard?: AcceptGuard,
): Promise<ApiServer> {
  const { backend: name = chooseBackend('auto').backend, idleTimeout, tls } = options
  const backend = loadBackend(name)
  const proxies = compileProxyRules(options)
  const believesProxyHeader = proxies.proxyProtocol ? trustsAddress(proxies) : undefined
  const app = backend.createApp({ tls, idleTimeout, gate, believesProxyHeader })
  let inFlight = 0
  let closing = false
  const responder = new Responder(options, admin)
  app.any('/*', (response, request) => {
    inFlight++
    const family = familyOf(socketAddress(response.getRemoteAddress()))
    countFrontend(counters, Protocol.http, family, FrontendCounter.api)
    const isHead = request.getMethod() === 'head'
    responder.respond(
      new Exchange(response, {
        isHead,
        onSettled: () => inFlight--,
        isClosing: () => closing,
      }),
      request,
    )
  })
  const listening = await listen(backend, app, options.host, options.port, acceptGuard)
  return {
    port: listening.port,
    idleSeconds: idleSeconds(backend, idleTimeout),
    get connections() {
      return app.openConnections
    },
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
