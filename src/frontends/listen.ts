import { readFileSync } from 'node:fs'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Libc, openLibc } from '../native/libc.ts'
import { localEndpoint, openFiles } from '../native/open-sockets.ts'
import { SOL_SOCKET } from '../native/socket.ts'
import { type App, type ListenSocket, loadUws } from './uws.ts'

/** Linux's numbers, the same on x86-64 and arm64. */
const SO_ATTACH_FILTER = 26
const SO_ACCEPTCONN = 30

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
      if (canWait && refuseHandshakes(libc, fd)) {
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

function tryLibc(): Libc | undefined {
  try {
    return openLibc()
  } catch {
    return undefined
  }
}

/** Whether the kernel by itself gives what waits on a socket that is closed to another one on that address. */
function kernelMigrates(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim() === '1'
  } catch {
    return false
  }
}

function isListening(libc: Libc, fd: number): boolean {
  const value = new Int32Array(new ArrayBuffer(4))
  const bytes = new Int32Array([4])
  const out = new Uint8Array(value.buffer)
  if (libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, out, new Uint8Array(bytes.buffer)) === -1)
    return false
  return value[0] === 1
}

/**
 * Closing a listening socket resets what is in handshake with it or waits to be accepted. So it first gets a socket filter that drops every
 * SYN and lets the other packets through: what began is finished and accepted, nothing new begins, and a client that sends its SYN again
 * meets the other listeners. Classic BPF over the TCP header; it needs no privilege. False where the kernel does not take it.
 */
function refuseHandshakes(libc: Libc, fd: number): boolean {
  const FLAGS_OFFSET = 13
  const SYN_AND_ACK = 0x12
  const SYN = 0x02
  const [DROP, KEEP] = [0, 0xffff_ffff]
  const program: readonly (readonly [code: number, jt: number, jf: number, k: number])[] = [
    [0x30, 0, 0, FLAGS_OFFSET], // ldb [13]
    [0x54, 0, 0, SYN_AND_ACK], // and #SYN|ACK
    [0x15, 0, 1, SYN], // jeq #SYN
    [0x06, 0, 0, DROP], // ret
    [0x06, 0, 0, KEEP], // ret
  ]
  const filter = new Uint8Array(new ArrayBuffer(program.length * 8))
  const view = new DataView(filter.buffer)
  program.forEach(([code, jt, jf, k], n) => {
    view.setUint16(n * 8, code, true)
    view.setUint8(n * 8 + 2, jt)
    view.setUint8(n * 8 + 3, jf)
    view.setUint32(n * 8 + 4, k, true)
  })
  // struct sock_fprog: a length, and behind padding a pointer.
  const header = new Uint8Array(new ArrayBuffer(16))
  const headerView = new DataView(header.buffer)
  headerView.setUint16(0, program.length, true)
  headerView.setBigUint64(8, BigInt(libc.address(filter)), true)
  return libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length) === 0
}
