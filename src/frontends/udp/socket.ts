import { type Libc, openLibc } from '../../native/libc.ts'
import {
  int,
  openBoundSocket,
  SO_REUSEPORT,
  SOL_SOCKET,
  type SocketAddress,
} from '../../native/socket.ts'
import { Family, type IpFamily } from '../../protocol/records.ts'

/** Linux's numbers, the same on x86-64 and arm64. */
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_RCVTIMEO = 20
const SO_SNDTIMEO = 21
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const IPPROTO_IP = 0
const IP_MTU_DISCOVER = 10
const IP_PMTUDISC_WANT = 1
const IP_PMTUDISC_PROBE = 3

/** How long a call may block, and so how late a stop can be noticed. */
export const BLOCK_MILLIS_MAX = 250

export type UdpSocketOptions = SocketAddress & {
  /** Bytes asked of the kernel; 0 keeps its default. */
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
  /** Whether no answer is so long that a link might have to cut it: the kernel then need not number the packets, which costs it 0.2 µs each. */
  readonly dontFragment?: boolean
}

/**
 * A bound socket. Plain data, so that one thread can open it, and fail with the operator watching,
 * and another receive from it; file descriptors belong to the process.
 */
export type UdpSocket = {
  readonly fd: number
  readonly family: IpFamily
  readonly host: string
  readonly port: number
  /**
   * What the kernel granted; less than asked where net.core.rmem_max is lower and we may not go
   * past it.
   */
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
}

/**
 * Opens a UDP socket for one thread. Several may be bound to one address (SO_REUSEPORT); the kernel
 * then spreads clients over them. An IPv6 socket takes no IPv4. Throws an Error with `code` and the
 * address where that fails.
 */
export function openUdpSocket(options: UdpSocketOptions): UdpSocket {
  const libc = openLibc()
  const { fd, family, port } = openBoundSocket(libc, 'udp', options, (set, family) => {
    if (family === Family.ipv4 && options.dontFragment) {
      set(IPPROTO_IP, IP_MTU_DISCOVER, int(IP_PMTUDISC_PROBE))
    }
    set(SOL_SOCKET, SO_REUSEPORT, int(1))
    set(SOL_SOCKET, SO_RCVTIMEO, timeval(BLOCK_MILLIS_MAX))
    set(SOL_SOCKET, SO_SNDTIMEO, timeval(BLOCK_MILLIS_MAX))
  })
  const { host, receiveBufferBytes, sendBufferBytes } = options
  return {
    fd,
    family,
    host,
    port,
    receiveBufferBytes: setBuffer(libc, fd, SO_RCVBUFFORCE, SO_RCVBUF, receiveBufferBytes),
    sendBufferBytes: setBuffer(libc, fd, SO_SNDBUFFORCE, SO_SNDBUF, sendBufferBytes),
  }
}

/** As `UdpSocketOptions.dontFragment`, of an IPv4 socket. */
export function setDontFragment(fd: number, isOn: boolean): void {
  const value = int(isOn ? IP_PMTUDISC_PROBE : IP_PMTUDISC_WANT)
  openLibc().setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, value, value.length)
}

/**
 * Call it after the thread that receives has returned: the number of a closed descriptor is given
 * out again.
 */
export function closeUdpSocket(socket: UdpSocket): void {
  openLibc().close(socket.fd)
}

/**
 * Asks for `bytes`, past the system's maximum where we may (CAP_NET_ADMIN), and returns what there
 * is now.
 */
function setBuffer(libc: Libc, fd: number, force: number, name: number, bytes: number): number {
  if (bytes > 0 && libc.setsockopt(fd, SOL_SOCKET, force, int(bytes), 4) === -1) {
    libc.setsockopt(fd, SOL_SOCKET, name, int(bytes), 4)
  }
  const value = int(0)
  libc.getsockopt(fd, SOL_SOCKET, name, value, int(4))
  // The kernel doubles what it is asked for, for its own book-keeping, and reports the double.
  return new DataView(value.buffer).getInt32(0, true) / 2
}

/** struct timeval: seconds and microseconds, u64 each. */
function timeval(millis: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(16))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, Math.floor(millis / 1000), true)
  view.setUint32(8, (millis % 1000) * 1000, true)
  return bytes
}
