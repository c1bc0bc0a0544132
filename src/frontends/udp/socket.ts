import { type Libc, openLibc } from '../../native/libc.ts'
import {
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_PROBE,
  IP_PMTUDISC_WANT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RCVTIMEO,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_SNDTIMEO,
  SOL_SOCKET,
} from '../../native/linux.ts'
import { int, openBoundSocket, type SocketAddress } from '../../native/socket.ts'
import { parseIpv4, parseIpv6 } from '../../protocol/ip.ts'
import { Family, type IpFamily } from '../../protocol/records.ts'

/** Milliseconds that a call may block: the longest time until the receive loop notices a stop. */
export const BLOCK_MILLIS_MAX = 250

export type UdpSocketOptions = SocketAddress & {
  /** Requested size in bytes; 0 leaves the kernel's default. */
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
  /**
   * Whether every answer fits the smallest MTU, so that no router has to fragment it. The kernel
   * then does not number the packets, which would cost 0.2 µs each.
   */
  readonly dontFragment?: boolean
}

/**
 * A bound socket. It is plain data, so that one thread can open it, where an error reaches the
 * operator, and another thread can receive from it; file descriptors belong to the process.
 */
export type UdpSocket = {
  readonly fd: number
  readonly family: IpFamily
  readonly host: string
  readonly port: number
  /**
   * Whether the socket is bound to the wildcard address. The kernel then reports the destination of
   * each datagram, and each answer must name it as its source: the route to a client may prefer
   * another of the machine's addresses, and clients drop answers from an address that they did not
   * send to.
   */
  readonly isWildcard: boolean
  /**
   * Bytes that the kernel granted: fewer than requested if net.core.rmem_max is lower and the
   * process lacks CAP_NET_ADMIN.
   */
  readonly receiveBufferBytes: number
  readonly sendBufferBytes: number
}

/** Whether `host` is the wildcard address of its family, 0.0.0.0 or ::. */
export function isWildcardAddress(host: string): boolean {
  return (parseIpv4(host) ?? parseIpv6(host))?.every(byte => byte === 0) ?? false
}

/**
 * Opens a UDP socket for one thread. Several sockets may be bound to one address (SO_REUSEPORT);
 * the kernel then distributes clients over them. An IPv6 socket does not receive IPv4. Throws an
 * Error with `code` and the address on failure.
 */
export function openUdpSocket(options: UdpSocketOptions): UdpSocket {
  const libc = openLibc()
  const isWildcard = isWildcardAddress(options.host)
  const { fd, family, port } = openBoundSocket(libc, 'udp', options, (set, family) => {
    if (family === Family.ipv4 && options.dontFragment) {
      set(IPPROTO_IP, IP_MTU_DISCOVER, int(IP_PMTUDISC_PROBE))
    }
    if (isWildcard && family === Family.ipv4) set(IPPROTO_IP, IP_PKTINFO, int(1))
    if (isWildcard && family === Family.ipv6) set(IPPROTO_IPV6, IPV6_RECVPKTINFO, int(1))
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
    isWildcard,
    receiveBufferBytes: setBuffer(libc, fd, SO_RCVBUFFORCE, SO_RCVBUF, receiveBufferBytes),
    sendBufferBytes: setBuffer(libc, fd, SO_SNDBUFFORCE, SO_SNDBUF, sendBufferBytes),
  }
}

/** Sets `UdpSocketOptions.dontFragment` of an open IPv4 socket. */
export function setDontFragment(fd: number, isOn: boolean): void {
  const value = int(isOn ? IP_PMTUDISC_PROBE : IP_PMTUDISC_WANT)
  openLibc().setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, value, value.length)
}

/**
 * Closes the socket. Call it only after the thread that receives has returned: the kernel reuses
 * the number of a closed descriptor.
 */
export function closeUdpSocket(socket: UdpSocket): void {
  openLibc().close(socket.fd)
}

/**
 * Requests a buffer of `bytes`, above the system's maximum if the process may (CAP_NET_ADMIN), and
 * returns the granted bytes.
 */
function setBuffer(libc: Libc, fd: number, force: number, name: number, bytes: number): number {
  if (bytes > 0 && libc.setsockopt(fd, SOL_SOCKET, force, int(bytes), 4) === -1) {
    libc.setsockopt(fd, SOL_SOCKET, name, int(bytes), 4)
  }
  const value = int(0)
  libc.getsockopt(fd, SOL_SOCKET, name, value, int(4))
  // The kernel doubles the requested size, for its own bookkeeping, and reports the double.
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
