import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv4 } from 'node:net'
import { type OperatorError, unavailableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { holdPort } from '../native/port-reservation.ts'

type Listener = { readonly host: string; readonly port: number }

/**
 * Listeners whose ports are reserved until `release` is called: once they listen, or for UDP just
 * before.
 */
export type Claims<T> = { readonly listeners: readonly T[]; release(): void }

/**
 * Reserves the ports of `wanted`: uWebSockets.js listens with SO_REUSEPORT and would silently share
 * a port with another tracker. Port 0 becomes the free port on which all workers then listen. An
 * address that this machine does not have is left out with a warning, if any other is left. Rejects
 * with an OperatorError with EX_UNAVAILABLE, and then has reserved nothing.
 */
export async function claimListeners<T extends Listener>(
  wanted: readonly T[],
  log: Logger,
  claim: Claim<T> = claimTcp,
): Promise<Claims<T>> {
  const held: Claimed[] = []
  const claimed: T[] = []
  const missing: Listener[] = []
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
        missing.push(listener)
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
  if (claimed.length === 0 && missing.length > 0) throw noAddressError(missing)
  return { listeners: claimed, release }
}

/** The error for listeners of which none has an address of this machine. */
export function noAddressError(listeners: readonly Listener[]): OperatorError {
  const addresses = listeners.map(({ host, port }) => `${host} port ${port}`)
  return unavailableError(
    `this machine has none of the addresses to listen on: ${addresses.join(', ')}`,
  )
}

/** An address that is reserved until it is released. */
type Claimed = { readonly port: number; release(): void }
type Claim<T extends Listener = Listener> = (listener: T, wanted: readonly T[]) => Promise<Claimed>

/** Reserves a TCP address. */
export const claimTcp: Claim = async ({ host, port }, wanted) => {
  const server = createServer()
  // [::] accepts IPv4 too, unless another listener of the configuration has an IPv4 address.
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
        `cannot listen on ${host} port ${port}: another listener of the configuration uses the port, on ${own.host}. Remove one of the two.`,
      )
    }
    return unavailableError(
      `cannot listen on ${host} port ${port}: the port is in use by another program. Stop it or change bind_address.`,
    )
  }
  if (code === 'EACCES') {
    return unavailableError(
      `cannot listen on ${host} port ${port}: not permitted. Ports below 1024 need the capability CAP_NET_BIND_SERVICE.`,
    )
  }
  return unavailableError(`cannot listen on ${host} port ${port}: ${message}`)
}
