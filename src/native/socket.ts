import { isIP } from 'node:net'
import { Family, type IpFamily } from '../protocol/records.ts'
import { errnoName, type Libc } from './libc.ts'
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOCKADDR_ADDRESS,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_PORT,
} from './linux.ts'

const TYPES = { tcp: SOCK_STREAM, udp: SOCK_DGRAM } as const

export type SocketAddress = {
  /** IPv4 or IPv6 address, not a name. */
  readonly host: string
  /** 0 lets the kernel choose. */
  readonly port: number
}

/** Sets an option of the socket that is being opened. Throws where the kernel refuses it. */
export type SetOption = (level: number, name: number, value: Uint8Array) => void

export type BoundSocket = { readonly fd: number; readonly family: IpFamily; readonly port: number }

/**
 * Opens a socket, lets `before` and `after` set its options before and after the bind, and binds
 * it. Child processes do not inherit the socket. Throws an Error with `code` and the address where
 * that fails.
 */
export function openBoundSocket(
  libc: Libc,
  protocol: keyof typeof TYPES,
  { host, port, ipv6Only = true }: SocketAddress & { readonly ipv6Only?: boolean },
  before: (set: SetOption, family: IpFamily) => void,
  after: (set: SetOption) => void = () => {},
): BoundSocket {
  const family = isIP(host) === 6 ? Family.ipv6 : Family.ipv4
  const domain = family === Family.ipv6 ? AF_INET6 : AF_INET
  const failed = (call: string) => {
    const code = errnoName(libc.errno())
    const where = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
    return Object.assign(new Error(`${call} ${code} ${protocol} ${where}`), { code })
  }
  const fd = libc.socket(domain, TYPES[protocol] | SOCK_CLOEXEC, 0)
  if (fd === -1) throw failed('socket')
  const set: SetOption = (level, name, value) => {
    if (libc.setsockopt(fd, level, name, value, value.length) === -1) throw failed('setsockopt')
  }
  try {
    if (family === Family.ipv6) set(IPPROTO_IPV6, IPV6_V6ONLY, int(ipv6Only ? 1 : 0))
    before(set, family)
    const bytes = SOCKADDR_BYTES[family]
    const address = new Uint8Array(new ArrayBuffer(bytes))
    const view = new DataView(address.buffer)
    view.setUint16(SOCKADDR_FAMILY, domain, true)
    view.setUint16(SOCKADDR_PORT, port)
    if (libc.inet_pton(domain, host, address.subarray(SOCKADDR_ADDRESS[family])) !== 1) {
      throw new Error(`not an IP address: ${host}`)
    }
    if (libc.bind(fd, address, bytes) === -1) throw failed('bind')
    if (libc.getsockname(fd, address, int(bytes)) === -1) throw failed('getsockname')
    after(set)
    return { fd, family, port: view.getUint16(SOCKADDR_PORT) }
  } catch (error) {
    libc.close(fd)
    throw error
  }
}

/** A C int. */
export function int(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(4))
  new DataView(bytes.buffer).setInt32(0, value, true)
  return bytes
}
