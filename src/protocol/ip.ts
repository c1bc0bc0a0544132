/**
 * IPv4 and IPv6 addresses: text, bytes in network order, ranges, and their reachability from the
 * internet. Readers and writers work on bytes and allocate nothing, for the hot path; the functions
 * on strings are for configuration and headers.
 */
import { HEX_DIGITS } from './bytes.ts'

const COLON = 0x3a
const DOT = 0x2e
const ZERO = 0x30

/** Characters of the longest address: IPv6 with an IPv4 tail (RFC 4291 §2.2). */
const TEXT_BYTES_MAX = 45

/** Offset of the IPv4 address in ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
export const MAPPED_AT = 12

/** Whether the 16 bytes at `at` are an IPv4 address in its IPv6 form, ::ffff:0:0/96. */
export function isMapped(u8: Uint8Array, at: number): boolean {
  return isZero(u8, at, 10) && u8[at + 10] === 0xff && u8[at + 11] === 0xff
}

/** Whether the `bytes` at `at` are all zero: the unspecified address of either family. */
export function isZero(u8: Uint8Array, at: number, bytes: number): boolean {
  for (let n = at; n < at + bytes; n++) if (u8[n] !== 0) return false
  return true
}

/** Returns the address of 4 or 16 bytes, and for ::ffff:a.b.c.d the IPv4 address of 4 bytes. */
export function unmapped<B extends Uint8Array>(address: B): B {
  const isIpv4 = address.length === 16 && isMapped(address, 0)
  return isIpv4 ? (address.subarray(MAPPED_AT) as B) : address
}

/** Writes an address of 4 or 16 bytes as the 16 bytes of its IPv6 form, IPv4 mapped. */
export function writeMapped(address: Uint8Array, out: Uint8Array, at: number): void {
  const from = 16 - address.length
  for (let n = 0; n < 16; n++) {
    if (n < from) out[at + n] = n === 10 || n === 11 ? 0xff : 0
    else out[at + n] = address[n - from] as number
  }
}

const text = new Uint8Array(TEXT_BYTES_MAX + 1)

/** Copies a string of at most TEXT_BYTES_MAX ASCII characters to `text`, followed by a zero. */
function takeText(string: string): boolean {
  if (string.length > TEXT_BYTES_MAX) return false
  for (let n = 0; n < string.length; n++) {
    const code = string.charCodeAt(n)
    if (code === 0 || code > 0x7f) return false
    text[n] = code
  }
  text[string.length] = 0
  return true
}

/** The 4 bytes of a dotted quad, or undefined. Leading zeros are refused: they may mean octal. */
export function parseIpv4(string: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(4)
  const isIpv4 = takeText(string) && readIpv4(text, 0, bytes, 0) === string.length
  return isIpv4 ? bytes : undefined
}

/**
 * The 16 bytes of an IPv6 address (RFC 4291 §2.2), or undefined. Zones and brackets are not
 * accepted.
 */
export function parseIpv6(string: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(16)
  const isIpv6 = takeText(string) && readIpv6(text, 0, bytes, 0) === string.length
  return isIpv6 ? bytes : undefined
}

/** The 4 or 16 bytes of an address of either family, or undefined. */
export function parseAddress(string: string): Uint8Array<ArrayBuffer> | undefined {
  return parseIpv4(string) ?? parseIpv6(string)
}

/**
 * Reads the dotted quad at `from` of ASCII text that ends with a byte other than a digit, and
 * writes its 4 bytes. Returns where it ends, or -1.
 */
export function readIpv4(ascii: Uint8Array, from: number, out: Uint8Array, outAt: number): number {
  let place = from
  for (let part = 0; part < 4; part++) {
    if (part > 0 && ascii[place++] !== DOT) return -1
    const begin = place
    let value = 0
    for (; place < begin + 3 && isDigit(ascii[place] as number); place++) {
      value = value * 10 + (ascii[place] as number) - ZERO
    }
    if (place === begin || value > 255 || (place > begin + 1 && ascii[begin] === ZERO)) return -1
    out[outAt + part] = value
  }
  // A fourth digit.
  return isDigit(ascii[place] as number) ? -1 : place
}

export function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9
}

/**
 * Reads the IPv6 address (RFC 4291 §2.2) at `from` of ASCII text that ends with a zero, and writes
 * its 16 bytes. Returns where it ends, or -1, possibly after writing some bytes.
 */
export function readIpv6(ascii: Uint8Array, from: number, out: Uint8Array, outAt: number): number {
  let place = from
  let count = 0
  let gap = -1
  if (ascii[place] === COLON) {
    if (ascii[place + 1] !== COLON) return -1
    gap = 0
    place += 2
  }
  while (count < 16) {
    const begin = place
    let value = 0
    for (; place < begin + 4 && HEX_DIGITS[ascii[place] as number] !== -1; place++) {
      value = (value << 4) | (HEX_DIGITS[ascii[place] as number] as number)
    }
    if (place === begin) {
      if (gap !== count) return -1
      break
    }
    if (ascii[place] === DOT) {
      if (count > 12) return -1
      place = readIpv4(ascii, begin, out, outAt + count)
      if (place === -1) return -1
      count += 4
      break
    }
    out[outAt + count++] = value >> 8
    out[outAt + count++] = value & 0xff
    if (count === 16 || ascii[place] !== COLON) break
    place++
    if (ascii[place] === COLON) {
      if (gap !== -1) return -1
      gap = count
      place++
    }
  }
  return closeGap(out, outAt, gap, count) ? place : -1
}

/** Expands an address whose `::` is before byte `gap`, or absent (-1), to 16 bytes. */
function closeGap(out: Uint8Array, at: number, gap: number, count: number): boolean {
  if (gap === -1) return count === 16
  if (count === 16) return false
  for (let n = 15; n >= gap; n--) {
    const source = n - (16 - count)
    out[at + n] = source >= gap ? (out[at + source] as number) : 0
  }
  return true
}

/** The text of the 4 or 16 bytes at `at`: a dotted quad, or IPv6 as RFC 5952 §4 writes it. */
export function formatAddress(u8: Uint8Array, at: number, bytes: number): string {
  const end = writeAddressText(u8, at, bytes, text, 0)
  return String.fromCharCode(...text.subarray(0, end))
}

/** Writes that text to `out` and returns where it ends. */
export function writeAddressText(
  u8: Uint8Array,
  at: number,
  bytes: number,
  out: Uint8Array,
  outAt: number,
): number {
  return bytes === 4 ? writeIpv4(u8, at, out, outAt) : writeIpv6(u8, at, out, outAt)
}

function writeIpv4(u8: Uint8Array, at: number, out: Uint8Array, outAt: number): number {
  let end = outAt
  for (let n = 0; n < 4; n++) {
    const byte = u8[at + n] as number
    if (n > 0) out[end++] = DOT
    if (byte > 99) out[end++] = ZERO + ((byte / 100) | 0)
    if (byte > 9) out[end++] = ZERO + (((byte / 10) | 0) % 10)
    out[end++] = ZERO + (byte % 10)
  }
  return end
}

function writeIpv6(u8: Uint8Array, at: number, out: Uint8Array, outAt: number): number {
  // The first of the longest runs of two or more zero groups becomes `::`.
  let gap = -1
  let gapLength = 1
  for (let first = 0, length = 0; first < 8; first += length + 1) {
    length = 0
    while (first + length < 8 && isZeroGroup(u8, at, first + length)) length++
    if (length > gapLength) {
      gap = first
      gapLength = length
    }
  }
  let end = outAt
  for (let group = 0; group < 8; group++) {
    if (group === gap) {
      out[end++] = COLON
      out[end++] = COLON
      group += gapLength - 1
      continue
    }
    if (group > 0 && out[end - 1] !== COLON) out[end++] = COLON
    const place = at + group * 2
    end = writeHex(out, end, ((u8[place] as number) << 8) | (u8[place + 1] as number))
  }
  return end
}

function isZeroGroup(u8: Uint8Array, at: number, group: number): boolean {
  return u8[at + group * 2] === 0 && u8[at + group * 2 + 1] === 0
}

/** Hex digits of 16 bits, without leading zeros. */
function writeHex(out: Uint8Array, at: number, value: number): number {
  let end = at
  for (let shift = value > 0xfff ? 12 : value > 0xff ? 8 : value > 0xf ? 4 : 0; shift >= 0; ) {
    const digit = (value >> shift) & 0xf
    out[end++] = digit + (digit < 10 ? 0x30 : 0x57)
    shift -= 4
  }
  return end
}

/** A range of addresses of one family: the first bytes, and the number of significant bits. */
export type Cidr = { readonly bytes: Uint8Array; readonly bits: number }
export type CidrList = readonly Cidr[]

/**
 * The range `10.0.0.0/8` or `fd00::/8`, or one address; undefined for any other text. A range of
 * mapped addresses, ::ffff:10.0.0.0/104, is the range of these IPv4 addresses.
 */
export function parseCidr(range: string): Cidr | undefined {
  const [, address = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(range) ?? []
  const bytes = parseAddress(address)
  if (!bytes) return undefined
  const bits = length === undefined ? bytes.length * 8 : Number(length)
  if (bits > bytes.length * 8) return undefined
  const isIpv4 = bytes.length === 16 && bits >= MAPPED_AT * 8 && isMapped(bytes, 0)
  return isIpv4 ? { bytes: bytes.subarray(MAPPED_AT), bits: bits - MAPPED_AT * 8 } : { bytes, bits }
}

/** Parses ranges. Throws an Error that names the first invalid one. */
export function compileCidrs(ranges: readonly string[]): CidrList {
  return ranges.map(range => {
    const cidr = parseCidr(range)
    if (!cidr) throw new Error(`${range} is not an address or a range of addresses`)
    return cidr
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

/**
 * Networks within which an address is reachable: peers of one scope can reach each other. `local`
 * is the scope of a client that may be given private and loopback addresses as well.
 */
export const Scope = {
  global: 0,
  private: 1,
  loopback: 2,
  linkLocal: 3,
  none: 4,
  local: 5,
} as const
export type Scope = (typeof Scope)[keyof typeof Scope]

/**
 * Scope of an IPv4 address by its first byte; -1 if the second byte decides. Ranges that no network
 * uses locally, such as documentation and benchmarking, count as global, because tests use them.
 */
const SCOPES_IPV4 = Int8Array.from({ length: 256 }, (_, first) => {
  if (first === 10) return Scope.private
  if (first === 127) return Scope.loopback
  // This network, multicast, reserved and broadcast: no client listens there.
  if (first === 0 || first >= 224) return Scope.none
  return [100, 169, 172, 192].includes(first) ? -1 : Scope.global
})

/** Scope of the IPv4 address whose first bytes are `first` and `second`. */
export function scopeOfIpv4(first: number, second: number): Scope {
  const scope = SCOPES_IPV4[first] as Scope | -1
  if (scope !== -1) return scope
  switch (first) {
    case 100: // shared by a carrier's customers (RFC 6598)
      return (second & 0xc0) === 64 ? Scope.private : Scope.global
    case 169:
      return second === 254 ? Scope.linkLocal : Scope.global
    case 172: // RFC 1918
      return (second & 0xf0) === 16 ? Scope.private : Scope.global
    default:
      return second === 168 ? Scope.private : Scope.global
  }
}

/** Scope of the IPv6 address at `at`. */
export function scopeOfIpv6(view: DataView, at: number): Scope {
  const first = view.getUint8(at)
  if (first >= 0x20 && first < 0x40) return Scope.global
  if ((first & 0xfe) === 0xfc) return Scope.private // unique local (RFC 4193)
  if (first === 0xfe) {
    return (view.getUint8(at + 1) & 0xc0) === 0x80 ? Scope.linkLocal : Scope.none
  }
  if (first !== 0) return first === 0xff ? Scope.none : Scope.global
  const isLoopback =
    view.getInt32(at) === 0 &&
    view.getInt32(at + 4) === 0 &&
    view.getInt32(at + 8) === 0 &&
    view.getInt32(at + 12) === 1
  return isLoopback ? Scope.loopback : Scope.none
}

/** Whether a client of scope `from` can reach an address of scope `to`. */
export function isInReach(to: Scope, from: Scope): boolean {
  if (to === Scope.global) return true
  if (to === Scope.none) return false
  if (from === Scope.local) return to !== Scope.linkLocal
  // The machine itself reaches its private networks.
  return to === from || (to === Scope.private && from === Scope.loopback)
}

/**
 * For each scope of a client, the first bytes of the IPv4 addresses that it may not reach: a check
 * without a call.
 */
export const MAY_BE_OUT_OF_REACH: readonly Uint8Array[] = Object.values(Scope).map(from =>
  Uint8Array.from(SCOPES_IPV4, to => (to !== -1 && isInReach(to as Scope, from) ? 0 : 1)),
)

/**
 * Whether the internet can reach the IPv4 address at `at`: all but the special-purpose registry
 * (RFC 6890) and multicast.
 */
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
    case 192: // IETF, documentation, 6to4 relays, private
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
 * Whether the internet can reach the IPv6 address at `at`: global unicast, 2000::/3, which excludes
 * unspecified, loopback, mapped and translated IPv4, link-local, unique local and multicast; and
 * except IETF protocol assignments, Teredo, documentation and 6to4.
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
