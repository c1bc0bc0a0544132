import { createServer, isIPv4, type Server } from 'node:net'
import type { Config } from '../config/config.ts'
import { parseBindAddress } from '../config/validate.ts'
import { type OperatorError, unavailableError } from '../errors.ts'
import type { HttpServerOptions } from '../frontends/http/server.ts'
import type { Logger } from '../log.ts'

/** Every enabled HTTP server, as its frontend wants it. */
export function httpListeners(config: Config): HttpServerOptions[] {
  return config.http_server
    .filter(server => server.enabled)
    .map(server => ({
      ...(parseBindAddress(server.bind_address) ?? { host: '', port: 0 }),
      realIpHeader: server.real_ip,
      trustedProxies: server.trusted_proxies,
      usePayloadIp: server.use_payload_ip,
      numwantDefault: config.tracker_config.numwant_default,
      numwantMaximum: config.tracker_config.numwant_maximum,
      minInterval: config.tracker_config.request_interval_minimum,
    }))
}

type Listener = { readonly host: string; readonly port: number }

/**
 * Makes sure that nobody else has the addresses: uWebSockets.js listens with SO_REUSEPORT and would share a port with another tracker in silence. A
 * port 0 becomes the free port that all workers then listen on. A family that this machine has not is left out with a warning, if anything else
 * is left. Throws an OperatorError with EX_UNAVAILABLE.
 */
export async function claimListeners<T extends Listener>(
  wanted: readonly T[],
  log: Logger,
): Promise<T[]> {
  const held: Server[] = []
  const claimed: T[] = []
  const missing: string[] = []
  try {
    for (const listener of wanted) {
      const server = createServer()
      try {
        claimed.push({ ...listener, port: await listen(server, listener, wanted) })
        held.push(server)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')
          throw takenError(listener, claimed, error)
        missing.push(`${listener.host} port ${listener.port}`)
        log.warn(
          { address: listener.host, port: listener.port, code },
          'this machine has not this address',
        )
      }
    }
  } finally {
    await Promise.all(held.map(server => new Promise(resolve => server.close(resolve))))
  }
  if (claimed.length === 0) {
    throw unavailableError(
      `this machine has none of the addresses to listen on: ${missing.join(', ')}`,
    )
  }
  return claimed
}

function listen(
  server: Server,
  { host, port }: Listener,
  wanted: readonly Listener[],
): Promise<number> {
  // [::] takes IPv4 too, unless another of our listeners has that.
  const ipv6Only = wanted.some(other => isIPv4(other.host) && other.port === port)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true, ipv6Only }, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
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
        `cannot listen on ${host} port ${port}: the http_server on ${own.host} has it. Remove one of the two.`,
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
