import { readdirSync, readFileSync } from 'node:fs'
import type { Libc } from './libc.ts'
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  POLLFD_BYTES,
  POLLFD_REVENTS,
  POLLNVAL,
  SO_ACCEPTCONN,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCKADDR_ADDRESS,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_PORT,
  SOL_SOCKET,
  TCP_INFO,
  TCP_INFO_BYTES,
  TCP_INFO_UNACKED,
} from './linux.ts'
import { int } from './socket.ts'

const [IPV4, IPV6] = SOCKADDR_ADDRESS
const SOCKADDR_BYTES_MAX = Math.max(...SOCKADDR_BYTES)

/** One end of an IP socket: an address of 4 or 16 bytes, by the socket's family, and a port. */
export type Endpoint = { readonly address: Uint8Array<ArrayBuffer>; readonly port: number }

const sockaddr = new Uint8Array(new ArrayBuffer(SOCKADDR_BYTES_MAX))
const view = new DataView(sockaddr.buffer)
const bytes = new Uint32Array(1)
const bytesOut = new Uint8Array(bytes.buffer)

/** The local end of the socket `fd`; undefined where `fd` is not an IP socket. */
export function localEndpoint(libc: Libc, fd: number): Endpoint | undefined {
  bytes[0] = SOCKADDR_BYTES_MAX
  return libc.getsockname(fd, sockaddr, bytesOut) === -1 ? undefined : readEndpoint()
}

/** The remote end of the socket `fd`; undefined where `fd` is not a connected IP socket. */
export function remoteEndpoint(libc: Libc, fd: number): Endpoint | undefined {
  bytes[0] = SOCKADDR_BYTES_MAX
  return libc.getpeername(fd, sockaddr, bytesOut) === -1 ? undefined : readEndpoint()
}

function readEndpoint(): Endpoint | undefined {
  const family = view.getUint16(SOCKADDR_FAMILY, true)
  const port = view.getUint16(SOCKADDR_PORT)
  if (family === AF_INET) return { address: sockaddr.slice(IPV4, IPV4 + 4), port }
  if (family !== AF_INET6) return undefined
  return { address: sockaddr.slice(IPV6, IPV6 + 16), port }
}

/** Whether `fd` is a socket that listens for connections. */
export function isListening(libc: Libc, fd: number): boolean {
  const value = int(0)
  if (libc.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, int(value.length)) === -1) return false
  return value[0] === 1
}

/** The number of connections that wait to be accepted on the listening TCP socket `fd`. */
export function waitingConnections(libc: Libc, fd: number): number {
  const info = new Uint8Array(new ArrayBuffer(TCP_INFO_BYTES))
  if (libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, int(info.length)) === -1) return 0
  return new DataView(info.buffer).getUint32(TCP_INFO_UNACKED, true)
}

/**
 * Returns a function that reports whether one of the descriptors from `first` to `end` is open in
 * this process, by one system call.
 */
export function openFileCheck(libc: Libc, first: number, end: number): () => boolean {
  const count = end - first
  const files = new Uint8Array(new ArrayBuffer(count * POLLFD_BYTES))
  const fields = new DataView(files.buffer)
  for (let n = 0; n < count; n++) fields.setInt32(n * POLLFD_BYTES, first + n, true)
  return () => {
    if (libc.poll(files, count, 0) < count) return true
    for (let n = 0; n < count; n++) {
      if (fields.getUint16(n * POLLFD_BYTES + POLLFD_REVENTS, true) !== POLLNVAL) return true
    }
    return false
  }
}

/** Accepts and closes the connections that wait on the non-blocking listening socket `fd`. */
export function closeWaiting(libc: Libc, fd: number): void {
  for (;;) {
    const accepted = libc.accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if (accepted === -1) return
    libc.close(accepted)
  }
}

/**
 * File descriptors of this process; none without procfs. When the process has `filesMax` files
 * open, the folder cannot be read, and every number below `filesMax` is returned.
 */
export function openFiles(filesMax = 0): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE' ? [...Array(filesMax).keys()] : []
  }
}

/** The maximum number of open files of this process. Throws without procfs. */
export function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1')
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1])
}
