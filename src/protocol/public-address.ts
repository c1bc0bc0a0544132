/**
 * Which addresses the internet can reach: IANA's special-purpose registries (RFC 6890) and multicast taken out of the whole. Made for the hot path: compares
 * and nothing else.
 */

/** Whether anybody may be reached at the IPv4 address at `at`. */
export function isPublicIpv4(u8: Uint8Array, at: number): boolean {
  const b = u8[at + 1] as number
  const c = u8[at + 2] as number
  switch (u8[at]) {
    case 0: // this network
    case 10: // private (RFC 1918)
    case 127: // loopback
      return false
    case 100: // shared by a carrier's customers (RFC 6598)
      return (b & 0xc0) !== 64
    case 169: // link-local
      return b !== 254
    case 172: // private (RFC 1918)
      return (b & 0xf0) !== 16
    case 192: // IETF, documentation, 6to4's relays, private
      if (b === 0) return c !== 0 && c !== 2
      return !(b === 88 && c === 99) && b !== 168
    case 198: // benchmarking, documentation
      return (b & 0xfe) !== 18 && !(b === 51 && c === 100)
    case 203: // documentation
      return !(b === 0 && c === 113)
    default: // multicast, reserved, broadcast
      return (u8[at] as number) < 224
  }
}

/**
 * Whether anybody may be reached at the IPv6 address at `at`: global unicast, 2000::/3, which leaves out unspecified, loopback, mapped and translated
 * IPv4, link-local, unique local and multicast; and of that neither what the IETF has for itself, Teredo, documentation nor 6to4.
 */
export function isPublicIpv6(u8: Uint8Array, at: number): boolean {
  if (((u8[at] as number) & 0xe0) !== 0x20) return false
  const b = u8[at + 1] as number
  const c = u8[at + 2] as number
  if (u8[at] === 0x20) {
    if (b === 0x02) return false // 6to4, 2002::/16
    if (b !== 0x01) return true
    // 2001::/23 with Teredo, and documentation 2001:db8::/32
    return c > 0x01 && !(c === 0x0d && u8[at + 3] === 0xb8)
  }
  return !(u8[at] === 0x3f && b === 0xff && c < 0x10) // documentation, 3fff::/20
}
