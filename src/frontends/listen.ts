import { readFileSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Libc, tryLibc } from '../native/libc.ts'
import {
  isListening,
  localEndpoint,
  openFiles,
  waitingConnections,
} from '../native/open-sockets.ts'
import { dropHandshakes } from '../native/socket-filter.ts'
import type { AcceptGuard } from './accept-guard.ts'
import type { App, HttpBackend, ListenSocket } from './adapter.ts'

/**
 * A handshake that began is complete by then, unless a packet was lost. A client repeats its SYN
 * only after a second.
 */
const HANDSHAKE_MILLIS = 500
/** Turns of the event loop in which waiting connections are accepted. */
const TURNS_MAX = 2000

/** An app that listens on one address. */
export type Listening = {
  readonly port: number
  /** Accepts no new connections, and resets those that were not accepted yet. */
  stop(): void
  /**
   * Stops listening where other sockets listen on the address too: connections that begin after
   * this call are theirs, and those that began before are still accepted here.
   */
  handOver(): Promise<void>
}

/**
 * Lets `app` listen, beside other sockets on the same address. Rejects when it cannot. `guard`
 * stops it from accepting while few file descriptors are free.
 */
export async function listen(
  backend: HttpBackend,
  app: App,
  host: string,
  port: number,
  guard?: AcceptGuard,
): Promise<Listening> {
  const libc = tryLibc()
  const before = new Set(libc && listeningFiles(libc))
  const socket = await new Promise<ListenSocket>((resolve, reject) => {
    app.listen(host, port, listening => {
      if (listening) resolve(listening)
      else reject(new Error(`cannot listen on ${host} port ${port}`))
    })
  })
  const localPort = backend.localPort(socket)
  // Neither backend reports its file descriptor.
  const fd =
    libc &&
    listeningFiles(libc).find(fd => !before.has(fd) && localEndpoint(libc, fd)?.port === localPort)
  const unwatch = fd === undefined ? undefined : guard?.watch(fd)
  let isOpen = true
  const stop = () => {
    unwatch?.()
    if (isOpen) backend.closeListenSocket(socket)
    isOpen = false
  }
  return {
    port: localPort,
    stop,
    async handOver() {
      unwatch?.()
      const canWait = isOpen && libc !== undefined && fd !== undefined && !kernelMigrates()
      if (canWait && dropHandshakes(libc, fd)) {
        await sleep(HANDSHAKE_MILLIS)
        // A process that was not scheduled meanwhile accepts the waiting connections first. Node
        // accepts one in each turn.
        let turns = 0
        do await turn()
        while (++turns < TURNS_MAX && isOpen && waitingConnections(libc, fd) > 0)
      }
      stop()
    },
  }
}

/**
 * Whether this process has an open connection on one of its own `ports`. Undefined where that
 * cannot be determined.
 */
export function hasConnections(ports: ReadonlySet<number>): boolean | undefined {
  const libc = tryLibc()
  if (!libc) return undefined
  return openFiles().some(
    fd => ports.has(localEndpoint(libc, fd)?.port ?? -1) && !isListening(libc, fd),
  )
}

function listeningFiles(libc: Libc): number[] {
  return openFiles().filter(fd => isListening(libc, fd))
}

/**
 * Whether the kernel moves the connections that wait on a closed socket to another one on that
 * address.
 */
function kernelMigrates(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim() === '1'
  } catch {
    return false
  }
}
