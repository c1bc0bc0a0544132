import { isIP } from 'node:net'
import { Family, type IpFamily } from '../../protocol/announce-record.ts'
import { errnoName, type Libc, openLibc } from './libc.ts'

/** Linux's numbers, the same on x86-64 and arm64. */
const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_REUSEPORT = 15
const SO_RCVTIMEO = 20
const SO_SNDTIMEO = 21
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const IPPROTO_IP = 0
const IP_MTU_DISCOVER = 10
const IP_PMTUDISC_WANT = 1
const IP_PMTUDISC_PROBE = 3
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

/**
 * sockaddr_in and sockaddr_in6. Offsets in bytes; the family in the machine's order, the rest as on
 * the wire.
 */
export const SOCKADDR_FAMILY = 0 // u16
export const SOCKADDR_PORT = 2 // u16
export const SOCKADDR_ADDRESS = [4, 8] as const // 4 or 16, per family
export const SOCKADDR_BYTES = [16, 28] as const

/** How long a call may block, and so how late a stop can be noticed. */
export const BLOCK_MILLIS_MAX = 250

export type UdpSocketOptions = {
  /** IPv4 or IPv6 address, not a name. */
  readonly host: string
  /** 0 lets the kernel choose. */
  readonly port: number
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
  const family = isIP(options.host) === 6 ? Family.ipv6 : Family.ipv4
  const domain = family === Family.ipv6 ? AF_INET6 : AF_INET
  const fd = libc.socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd === -1) throw failed(libc, 'socket', options)
  try {
    if (family === Family.ipv6) set(libc, fd, IPPROTO_IPV6, IPV6_V6ONLY, int(1), options)
    else if (options.dontFragment) setDontFragment(fd, true)
    set(libc, fd, SOL_SOCKET, SO_REUSEPORT, int(1), options)
    set(libc, fd, SOL_SOCKET, SO_RCVTIMEO, timeval(BLOCK_MILLIS_MAX), options)
    set(libc, fd, SOL_SOCKET, SO_SNDTIMEO, timeval(BLOCK_MILLIS_MAX), options)
    const { receiveBufferBytes, sendBufferBytes } = options
    return {
      fd,
      family,
      host: options.host,
      port: bindTo(libc, fd, family, domain, options),
      receiveBufferBytes: setBuffer(libc, fd, SO_RCVBUFFORCE, SO_RCVBUF, receiveBufferBytes),
      sendBufferBytes: setBuffer(libc, fd, SO_SNDBUFFORCE, SO_SNDBUF, sendBufferBytes),
    }
  } catch (error) {
    libc.close(fd)
    throw error
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

/** Binds and returns the port. */
function bindTo(
  libc: Libc,
  fd: number,
  family: IpFamily,
  domain: number,
  options: UdpSocketOptions,
): number {
  const bytes = SOCKADDR_BYTES[family]
  const address = new Uint8Array(new ArrayBuffer(bytes))
  const view = new DataView(address.buffer)
  view.setUint16(SOCKADDR_FAMILY, domain, true)
  view.setUint16(SOCKADDR_PORT, options.port)
  if (libc.inet_pton(domain, options.host, address.subarray(SOCKADDR_ADDRESS[family])) !== 1) {
    throw new Error(`not an IP address: ${options.host}`)
  }
  if (libc.bind(fd, address, bytes) === -1) throw failed(libc, 'bind', options)
  if (libc.getsockname(fd, address, int(bytes)) === -1) throw failed(libc, 'getsockname', options)
  return view.getUint16(SOCKADDR_PORT)
}

function set(
  libc: Libc,
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  options: UdpSocketOptions,
): void {
  if (libc.setsockopt(fd, level, name, value, value.length) === -1) {
    throw failed(libc, 'setsockopt', options)
  }
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

function failed(libc: Libc, call: string, { host, port }: UdpSocketOptions): Error {
  const code = errnoName(libc.errno())
  const where = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
  return Object.assign(new Error(`${call} ${code} udp ${where}`), { code })
}

function int(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(4))
  new DataView(bytes.buffer).setInt32(0, value, true)
  return bytes
}

/** struct timeval: seconds and microseconds, u64 each. */
function timeval(millis: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(16))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, Math.floor(millis / 1000), true)
  view.setUint32(8, (millis % 1000) * 1000, true)
  return bytes
}
