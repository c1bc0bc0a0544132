import { readdirSync, readFileSync } from 'node:fs'
import type { Libc } from './libc.ts'
import {
  AF_INET,
  AF_INET6,
  SOCKADDR_ADDRESS,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_PORT,
} from './socket.ts'

const [IPV4, IPV6] = SOCKADDR_ADDRESS
const SOCKADDR_BYTES_MAX = Math.max(...SOCKADDR_BYTES)

/** One end of an IP socket: 4 or 16 bytes, as the socket's family has them. */
export type Endpoint = { readonly address: Uint8Array<ArrayBuffer>; readonly port: number }

const sockaddr = new Uint8Array(new ArrayBuffer(SOCKADDR_BYTES_MAX))
const view = new DataView(sockaddr.buffer)
const bytes = new Uint32Array(1)
const bytesOut = new Uint8Array(bytes.buffer)

/** Undefined for what is no IP socket. */
export function localEndpoint(libc: Libc, fd: number): Endpoint | undefined {
  bytes[0] = SOCKADDR_BYTES_MAX
  return libc.getsockname(fd, sockaddr, bytesOut) === -1 ? undefined : readEndpoint()
}

/** Undefined for what is no IP socket, or not connected. */
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

/**
 * The numbers of the open files of this process; none where there is no procfs. Where `filesMax` are open and no more may be, the folder
 * cannot be opened, but then every number is one.
 */
export function openFiles(filesMax = 0): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE' ? [...Array(filesMax).keys()] : []
  }
}

/** How many files this process may have open. Throws where there is no procfs. */
export function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1')
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1])
}
