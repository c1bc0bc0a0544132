import { parseIpv4, parseIpv6 } from './ip.ts'

/** Public addresses of the network that the tracker is in, by family. It can be cloned. */
export type ExternalIp = readonly [ipv4: Uint8Array | undefined, ipv6: Uint8Array | undefined]

/**
 * Reads an IPv4 address, an IPv6 address, or both with a comma between. Undefined for other text.
 */
export function parseExternalIp(text: string): ExternalIp | undefined {
  const addresses = text.split(',').map(part => part.trim())
  const of = (parse: typeof parseIpv4) => addresses.flatMap(address => parse(address) ?? [])
  const ipv4 = of(parseIpv4)
  const ipv6 = of(parseIpv6)
  if (ipv4.length > 1 || ipv6.length > 1) return undefined
  if (ipv4.length + ipv6.length !== addresses.length) return undefined
  const [a] = ipv4
  const [b] = ipv6
  // 0.0.0.0 and :: are not addresses of a network.
  if ([a, b].some(bytes => bytes?.every(byte => byte === 0))) return undefined
  return [a && Uint8Array.from(a), b && Uint8Array.from(b)]
}
