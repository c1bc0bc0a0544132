import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import { type CidrList, compileCidrs, isInCidrs, parseAddress, unmapped } from '../protocol/ip.ts'
import { ADDRESS, FAMILY, Family } from '../protocol/records.ts'

/** The address of a socket as 4 or 16 bytes, a mapped IPv4 address as 4. */
export function socketAddress(remote: ArrayBuffer): Uint8Array {
  return unmapped(new Uint8Array(remote))
}

/**
 * The client's address in a list that proxies append to: the last entry that is not a trusted proxy
 * itself. Everything before it is only what the client claims. Undefined when that entry is not an
 * address.
 */
export function forwardedAddress(list: string, trusted: CidrList): Uint8Array | undefined {
  // Empty entries do not count (RFC 9110 §5.6.1.2).
  const entries = list
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')
  for (let n = entries.length - 1; n >= 0; n--) {
    const address = parseForwarded(entries[n] as string)
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

/**
 * Which proxies may state the client's address, and how. Without ranges, proxy headers are ignored.
 */
export type ProxyRules = {
  readonly trusted: CidrList
  /** In lower case. */
  readonly header: string
  readonly proxyProtocol: boolean
}

export type ProxyOptions = {
  readonly realIpHeader: string
  /** CIDR ranges. */
  readonly trustedProxies: readonly string[]
  readonly proxyProtocol: boolean
}

/** Throws an Error when a range is invalid. */
export function compileProxyRules(options: ProxyOptions): ProxyRules {
  return {
    trusted: compileCidrs(options.trustedProxies),
    header: options.realIpHeader.toLowerCase(),
    proxyProtocol: options.proxyProtocol,
  }
}

/** Returns whether a socket's address is that of a trusted proxy. */
export function trustsAddress({ trusted }: ProxyRules): (address: ArrayBuffer) => boolean {
  return address => isInCidrs(trusted, socketAddress(address))
}

/** The parts of a request that state the client's address. */
export type Origin = {
  getRemoteAddress(): ArrayBuffer
  getProxiedRemoteAddress(): ArrayBuffer
}
export type Headers = { forEach(visit: (lowerCaseKey: string, value: string) => void): void }

/**
 * The client's address, 4 or 16 bytes: that of the connection or, if a trusted proxy has it, the
 * one in the PROXY header or in the `real_ip` header. With PROXY protocol the second counts only
 * when the first names a trusted address: another proxy, or without that header a client beside the
 * proxy. Undefined when a trusted proxy did not name a client.
 */
export function clientAddress(
  origin: Origin,
  headers: Headers,
  rules: ProxyRules,
): Uint8Array | undefined {
  const address = socketAddress(origin.getRemoteAddress())
  if (rules.trusted.length === 0 || !isInCidrs(rules.trusted, address)) return address
  const proxied = rules.proxyProtocol ? socketAddress(origin.getProxiedRemoteAddress()) : undefined
  if (proxied?.length === 0) return undefined
  if (proxied && !isInCidrs(rules.trusted, proxied)) return proxied
  // A proxy may append a line of its own: all lines are one list (RFC 9110 §5.3).
  const forwarded = headerLines(headers, rules.header).join(',')
  return proxied && forwarded === '' ? proxied : forwardedAddress(forwarded, rules.trusted)
}

/** The values of all lines of a header, whose name is in lower case. */
export function headerLines(headers: Headers, name: string): string[] {
  const lines: string[] = []
  headers.forEach((key, value) => {
    if (key === name) lines.push(value)
  })
  return lines
}

/** Writes FAMILY and ADDRESS of the record at `at`. */
export function writeClientAddress(address: Uint8Array, into: Bytes, at: number): Failure {
  if (address.length === 0) return Failure.unknownOrigin
  into.u8[at + FAMILY] = address.length === 4 ? Family.ipv4 : Family.ipv6
  for (let n = 0; n < 16; n++)
    into.u8[at + ADDRESS + n] = n < address.length ? (address[n] as number) : 0
  return Failure.none
}
