import { readFileSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Libc, tryLibc } from '../native/libc.ts'
import { isListening, localEndpoint, openFiles } from '../native/open-sockets.ts'
import { dropHandshakes } from '../native/socket-filter.ts'
import { type App, type ListenSocket, loadUws } from './uws.ts'

/** A handshake that began is over by then, unless a packet of it was lost; and a client sends a SYN again only after a second. */
const HANDSHAKE_MILLIS = 500

/** An app that listens on one address. */
export type Listening = {
  readonly port: number
  /** Takes no new connections, and cuts off those that nobody accepted yet. */
  stop(): void
  /** The same for when others listen on the address too: every connection that begins after this call is theirs, what began is still accepted here. */
  handOver(): Promise<void>
}

/** Lets `app` listen, beside others that do so on this address. Rejects when it cannot. */
export async function listen(app: App, host: string, port: number): Promise<Listening> {
  const uws = loadUws()
  const libc = tryLibc()
  const before = new Set(libc && listeningFiles(libc))
  const socket = await new Promise<ListenSocket>((resolve, reject) => {
    app.listen(host, port, listening => {
      if (listening) resolve(listening)
      else reject(new Error(`cannot listen on ${host} port ${port}`))
    })
  })
  const localPort = uws.localPort(socket)
  // uWebSockets.js does not tell its file descriptor.
  const fd =
    libc &&
    listeningFiles(libc).find(fd => !before.has(fd) && localEndpoint(libc, fd)?.port === localPort)
  let isOpen = true
  const stop = () => {
    if (isOpen) uws.closeListenSocket(socket)
    isOpen = false
  }
  return {
    port: localPort,
    stop,
    async handOver() {
      const canWait = isOpen && libc !== undefined && fd !== undefined && !kernelMigrates()
      if (canWait && dropHandshakes(libc, fd)) {
        await sleep(HANDSHAKE_MILLIS)
        // A process that had no processor meanwhile accepts what waits first.
        await turn()
      }
      stop()
    },
  }
}

/** Whether this process has a connection on one of its own ports `ports`. Undefined where that cannot be known. */
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

/** Whether the kernel by itself gives what waits on a socket that is closed to another one on that address. */
function kernelMigrates(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim() === '1'
  } catch {
    return false
  }
}
