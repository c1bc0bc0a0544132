import { closeSync, openSync } from 'node:fs'
import { familyOf } from '../counters/frontend.ts'
import type { Libc } from '../native/libc.ts'
import { SHUT_RDWR } from '../native/linux.ts'
import {
  type Endpoint,
  localEndpoint,
  openFiles,
  openFilesMax,
  remoteEndpoint,
} from '../native/open-sockets.ts'
import { compileCidrs, isInCidrs, parseAddress } from '../protocol/ip.ts'
import { socketAddress } from './client-address.ts'
import type { ConnectionLimitsOptions, LookReport } from './connection-limits.ts'
import { type Connection, surplusConnections } from './surplus-connections.ts'

/** What a customer of IPv6 has at least, a /64, is one address. */
const SOURCE_BYTES_MAX = 8

export type ConnectionLook = {
  /** Looks at every open file of the process, and ends the connections that are over a limit. */
  look(): LookReport
  close(): void
}

/** Prepares for looks at the connections that the listeners of this process accepted. Throws where there is no procfs. */
export function openConnectionLook(options: ConnectionLimitsOptions, libc: Libc): ConnectionLook {
  const listeners = options.listeners.map(({ host, port, trustedProxies }) => {
    const address = parseAddress(host) ?? new Uint8Array()
    const isAny = address.every(byte => byte === 0)
    return { address, isAny, port, trusted: compileCidrs(trustedProxies) }
  })
  const maxConnections = options.listeners.map(listener => listener.maxConnections)
  const filesMax = openFilesMax()
  // Held so that ending a connection needs no new file: there may be no number left.
  const nothing = openSync('/dev/null', 'r')
  const held = openSync('/dev/null', 'r')
  let known = new Map<number, Connection>()
  /** Still there until their event loop turns. */
  const ended = new WeakSet<Connection>()
  let looks = 0

  /** Of two listeners on a port the one with the very address, as the kernel chooses; -1 for none. */
  function listenerOf({ address, port }: Endpoint): number {
    let found = -1
    for (const [n, listener] of listeners.entries()) {
      if (listener.port !== port || listener.address.length !== address.length) continue
      if (listener.address.every((byte, at) => byte === address[at])) return n
      if (listener.isAny) found = n
    }
    return found
  }

  /** Undefined for what is no connection of a client: a file, a socket that listens, one of UDP or of another purpose. */
  function connectionAt(fd: number): Connection | undefined {
    const local = localEndpoint(libc, fd)
    const listener = local ? listenerOf(local) : -1
    const remote = listener === -1 ? undefined : remoteEndpoint(libc, fd)
    if (!remote) return undefined
    const peer = peerOf(remote)
    const before = known.get(fd)
    if (before?.peer === peer && before.listener === listener) return before
    const address = socketAddress(remote.address.buffer)
    const isProxy = isInCidrs(listeners[listener]?.trusted ?? [], address)
    const source = isProxy ? undefined : latin1(address.subarray(0, SOURCE_BYTES_MAX))
    return { fd, peer, family: familyOf(address), source, listener, firstSeen: looks }
  }

  /**
   * Shuts a connection down, which its event loop takes for the end of it and then closes it. The loop may have done so since the look, and
   * the number be another's: so a duplicate, which nobody else closes, is asked for its peer again, and is what is shut down.
   */
  function end({ fd, peer }: Connection): boolean {
    if (libc.dup2(fd, held) === -1) return false
    const remote = remoteEndpoint(libc, held)
    const isSame = remote !== undefined && peerOf(remote) === peer
    if (isSame) libc.shutdown(held, SHUT_RDWR)
    libc.dup2(nothing, held)
    return isSame
  }

  return {
    look() {
      const next: typeof known = new Map()
      const open: Connection[] = []
      for (const fd of openFiles(filesMax)) {
        const connection = connectionAt(fd)
        if (!connection) continue
        next.set(fd, connection)
        if (!ended.has(connection)) open.push(connection)
      }
      known = next
      looks++
      const surplus = surplusConnections(open, options.perAddress, maxConnections)
      const endedNow = surplus.filter(({ connection }) => end(connection))
      for (const { connection } of endedNow) ended.add(connection)
      return {
        open: open.length - surplus.length,
        ended: endedNow.map(({ connection, limit }) => ({ limit, family: connection.family })),
      }
    },
    close() {
      closeSync(nothing)
      closeSync(held)
    },
  }
}

function peerOf({ address, port }: Endpoint): string {
  return `${port} ${latin1(address)}`
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
