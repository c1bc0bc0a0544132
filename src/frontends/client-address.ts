import type { Bytes } from '../protocol/bytes.ts'
import { Failure } from '../protocol/failures.ts'
import { parseIpv4, parseIpv6 } from '../protocol/ip.ts'
import { ADDRESS, FAMILY, Family } from '../protocol/records.ts'

/** Ranges of addresses, each as its first bytes and how many bits of them count. */
export type CidrList = readonly { readonly bytes: Uint8Array; readonly bits: number }[]

/** Compiles ranges as `10.0.0.0/8` or `fd00::/8`; an address without a length is itself alone. Throws for what is none. */
export function compileCidrs(ranges: readonly string[]): CidrList {
  return ranges.map(range => {
    const [text = '', length] = range.split('/')
    const bytes = parseIpv4(text) ?? parseIpv6(text)
    const bits = length === undefined ? (bytes?.length ?? 0) * 8 : Number(length)
    if (!bytes || !Number.isInteger(bits) || bits < 0 || bits > bytes.length * 8) {
      throw new Error(`${range} is not a range of addresses`)
    }
    return { bytes, bits }
  })
}

/** Whether the address, 4 or 16 bytes, lies in one of the ranges. */
export function isInCidrs(list: CidrList, address: Uint8Array): boolean {
  return list.some(
    ({ bytes, bits }) => bytes.length === address.length && sharesBits(bytes, address, bits),
  )
}

function sharesBits(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >> 3
  for (let n = 0; n < whole; n++) if (a[n] !== b[n]) return false
  const rest = bits & 7
  return rest === 0 || (((a[whole] ?? 0) ^ (b[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0
}

/** IPv4 in its IPv6 form, ::ffff:a.b.c.d, is IPv4: a dual-stack socket shows it so (RFC 4291 §2.5.5.2). */
function isMapped(address: Uint8Array): boolean {
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return false
  for (let n = 0; n < 10; n++) if (address[n] !== 0) return false
  return true
}

/** The address of a socket as 4 or 16 bytes, a mapped IPv4 address as 4. */
export function socketAddress(remote: ArrayBuffer): Uint8Array {
  const address = new Uint8Array(remote)
  return isMapped(address) ? address.subarray(12) : address
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
  const address = parseIpv4(literal) ?? parseIpv6(literal)
  return address && isMapped(address) ? address.subarray(12) : address
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
