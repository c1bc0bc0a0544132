import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv4 } from 'node:net'
import type { Config } from '../config/config.ts'
import { failuresOf } from '../config/failure-answers.ts'
import { parseBindAddress } from '../config/validate.ts'
import { type OperatorError, unavailableError } from '../errors.ts'
import type { BackendName } from '../frontends/adapter.ts'
import type { ApiServerOptions } from '../frontends/api/server.ts'
import type { HttpServerOptions } from '../frontends/http/server.ts'
import type { Logger } from '../log.ts'
import { holdPort } from '../native/port-reservation.ts'
import type { PathRules } from '../protocol/http/path.ts'
import type { Certificates } from './certificates.ts'

type PairsOf = Pick<Certificates, 'pairOf'>

/** How many connections a listener may have in each process; 0 does not limit. */
type Bounded = { readonly maxConnections: number }

/** An HTTP server of the configuration. */
export type HttpListener = HttpServerOptions & Bounded

/** Every enabled HTTP server, as its frontend wants it. */
export function httpListeners(
  config: Config,
  certificates: PairsOf,
  backend: BackendName,
): HttpListener[] {
  return config.http_server.flatMap((server, n) => {
    if (!server.enabled) return []
    return {
      ...(parseBindAddress(server.bind_address) ?? { host: '', port: 0 }),
      backend: backendOf(server, backend),
      idleTimeout: config.frontend.idle_timeout,
      index: server.index,
      tls: certificates.pairOf('http_server', n),
      realIpHeader: server.real_ip,
      trustedProxies: server.trusted_proxies,
      proxyProtocol: server.proxy_protocol,
      maxConnections: server.max_connections,
      pathRules: pathRules(config),
      usePayloadIp: server.use_payload_ip,
      numwantDefault: config.tracker_config.numwant_default,
      numwantMaximum: config.tracker_config.numwant_maximum,
      minInterval: config.tracker_config.request_interval_minimum,
      failures: failuresOf(config),
      websocket: server.websocket,
      websocketInterval: config.tracker_config.websocket_interval,
    }
  })
}

/**
 * The native builds believe a second PROXY header, of the client itself, and read unwritten memory as the address of a short
 * one (uWebSockets issue 1927); their version does not reveal whether that is fixed. So these listeners are on node:http.
 */
function backendOf(
  server: { readonly proxy_protocol: boolean },
  backend: BackendName,
): BackendName {
  return server.proxy_protocol ? 'node' : backend
}

/** The keys that the path of a request must contain. */
export function pathRules({ tracker_config: tracker }: Config): PathRules {
  return {
    keys: tracker.keys_enabled,
    users: tracker.users_enabled,
    anonymousScrape: tracker.allow_anonymous_scrape,
  }
}

/** An API server of the configuration, as its frontend wants it; the frontend adds what cannot cross to another process. */
export type ApiListener = Omit<ApiServerOptions, 'onError' | 'pages'> & Bounded

/** Every enabled API server. */
export function apiListeners(
  config: Config,
  token: string,
  certificates: PairsOf,
  backend: BackendName,
): ApiListener[] {
  return config.api_server.flatMap((server, n) => {
    if (!server.enabled) return []
    return {
      ...(parseBindAddress(server.bind_address) ?? { host: '', port: 0 }),
      backend: backendOf(server, backend),
      idleTimeout: config.frontend.idle_timeout,
      tls: certificates.pairOf('api_server', n),
      token,
      swagger: config.tracker_config.swagger,
      userIdUuid: config.database_structure.users.id_uuid,
      repeatStatus: server.repeat_status,
      allowedHosts: server.allowed_hosts,
      realIpHeader: server.real_ip,
      trustedProxies: server.trusted_proxies,
      proxyProtocol: server.proxy_protocol,
      maxConnections: server.max_connections,
    }
  })
}

type Listener = { readonly host: string; readonly port: number }

/** Listeners on addresses that nobody else gets before `release`: once they listen, or for UDP when they are about to. */
export type Claims<T> = { readonly listeners: readonly T[]; release(): void }

/**
 * Makes sure that nobody else has the addresses: uWebSockets.js listens with SO_REUSEPORT and would share a port with another tracker in silence. A
 * port 0 becomes the free port that all workers then listen on. A family that this machine has not is left out with a warning, if anything else
 * is left. Rejects with an OperatorError with EX_UNAVAILABLE, and has claimed nothing then.
 */
export async function claimListeners<T extends Listener>(
  wanted: readonly T[],
  log: Logger,
  claim: Claim<T> = claimTcp,
): Promise<Claims<T>> {
  const held: Claimed[] = []
  const claimed: T[] = []
  const missing: string[] = []
  const release = () => {
    for (const address of held) address.release()
  }
  try {
    for (const listener of wanted) {
      try {
        const address = await claim(listener, wanted)
        claimed.push({ ...listener, port: address.port })
        held.push(address)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')
          throw takenError(listener, claimed, error)
        missing.push(`${listener.host} port ${listener.port}`)
        log.warn(
          { address: listener.host, port: listener.port, code },
          'address not available on this machine',
        )
      }
    }
  } catch (error) {
    release()
    throw error
  }
  if (claimed.length === 0 && missing.length > 0) {
    throw unavailableError(
      `this machine has none of the addresses to listen on: ${missing.join(', ')}`,
    )
  }
  return { listeners: claimed, release }
}

/** An address that nobody else can have until it is released. */
type Claimed = { readonly port: number; release(): void }
type Claim<T extends Listener = Listener> = (listener: T, wanted: readonly T[]) => Promise<Claimed>

export const claimTcp: Claim = async ({ host, port }, wanted) => {
  const server = createServer()
  // [::] takes IPv4 too, unless another of our listeners has that.
  const ipv6Only = wanted.some(other => isIPv4(other.host) && other.port === port)
  server.listen({ host, port, exclusive: true, ipv6Only })
  await once(server, 'listening')
  const own = (server.address() as AddressInfo).port
  await new Promise(resolve => server.close(resolve))
  return { port: own, release: holdPort(host, own, ipv6Only) }
}

function takenError(
  { host, port }: Listener,
  claimed: readonly Listener[],
  error: unknown,
): OperatorError {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    const own = claimed.find(other => other.port === port)
    if (own) {
      return unavailableError(
        `cannot listen on ${host} port ${port}: another listener of the configuration, on ${own.host}, has it. Remove one of the two.`,
      )
    }
    return unavailableError(
      `cannot listen on ${host} port ${port}: another program has it. Stop that one, or change bind_address.`,
    )
  }
  if (code === 'EACCES') {
    return unavailableError(
      `cannot listen on ${host} port ${port}: not permitted. Ports below 1024 need the capability CAP_NET_BIND_SERVICE.`,
    )
  }
  return unavailableError(`cannot listen on ${host} port ${port}: ${message}`)
}
