import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import { type CidrList, isInCidrs, parseAddress, unmapped } from '../protocol/ip.ts'
import { ADDRESS, FAMILY, Family } from '../protocol/records.ts'

/** The address of a socket as 4 or 16 bytes, a mapped IPv4 address as 4. */
export function socketAddress(remote: ArrayBuffer): Uint8Array {
  return unmapped(new Uint8Array(remote))
}

/**
 * The client's address out of a proxy's header: the last in the list that is not itself a trusted proxy, since all before it is only what
 * the client claims. Undefined when that is no address.
 */
export function forwardedAddress(header: string, trusted: CidrList): Uint8Array | undefined {
  const parts = header.split(',')
  for (let n = parts.length - 1; n >= 0; n--) {
    const address = parseForwarded((parts[n] ?? '').trim())
    if (!address || n === 0 || !isInCidrs(trusted, address)) return address
  }
  return undefined
}

function parseForwarded(text: string): Uint8Array | undefined {
  const literal =
    /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const address = parseAddress(literal)
  return address && unmapped(address)
}

/** Whose word is believed about a client's address, and which. No ranges: nobody's, and it is not even read. */
export type ProxyRules = {
  readonly trusted: CidrList
  /** In lower case. */
  readonly header: string
  readonly proxyProtocol: boolean
}

/** The parts of a request that tell where it comes from. */
export type Origin = {
  getRemoteAddress(): ArrayBuffer
  getProxiedRemoteAddress(): ArrayBuffer
}
export type Headers = { getHeader(lowerCaseKey: string): string }

/**
 * Address of who asks, 4 or 16 bytes: of the connection, or, if that is a trusted proxy's, what it says in PROXY protocol 2, and then in the
 * header. Undefined when a trusted proxy did not say.
 */
export function clientAddress(
  origin: Origin,
  headers: Headers,
  rules: ProxyRules,
): Uint8Array | undefined {
  let address = socketAddress(origin.getRemoteAddress())
  if (rules.trusted.length === 0 || !isInCidrs(rules.trusted, address)) return address
  if (rules.proxyProtocol) {
    const proxied = origin.getProxiedRemoteAddress()
    if (proxied.byteLength > 0) address = socketAddress(proxied)
    if (!isInCidrs(rules.trusted, address)) return address
  }
  return forwardedAddress(headers.getHeader(rules.header), rules.trusted)
}

/** Writes FAMILY and ADDRESS of the record at `at`. */
export function writeClientAddress(address: Uint8Array, into: Bytes, at: number): Failure {
  if (address.length === 0) return Failure.unknownOrigin
  into.u8[at + FAMILY] = address.length === 4 ? Family.ipv4 : Family.ipv6
  for (let n = 0; n < 16; n++)
    into.u8[at + ADDRESS + n] = n < address.length ? (address[n] as number) : 0
  return Failure.none
}
