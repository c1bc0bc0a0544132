import { ADDRESS_TEXT_BYTES_MAX } from '../limits.ts'
import { Family, type IpFamily } from '../records.ts'
import { decode, HEX, skipValue } from './query.ts'

const COLON = 0x3a
const DOT = 0x2e
const ZERO = 0x30
const BRACKET = 0x5b
const BRACKET_END = 0x5d

/** An address as decoded text, a zero behind it, and as bytes. */
const addressText = new Uint8Array(ADDRESS_TEXT_BYTES_MAX + 1)
/** The bytes of what readAddress read; IPv4 in the first four, and zeros behind. */
export const address = new Uint8Array(16)

/**
 * Reads an address, a port behind it or not (BEP 7), into `address` and returns its family. -1 for
 * what is none, and for 0.0.0.0, `::` and link-local IPv6, where nobody can be reached; such a
 * parameter is passed over, since clients send zones too, whose `%` is not even encoded. Mapped
 * IPv4 is IPv4.
 */
export function readAddress(): IpFamily | -1 {
  const length = decode(addressText, 0, ADDRESS_TEXT_BYTES_MAX)
  skipValue()
  if (length < 1 || length > ADDRESS_TEXT_BYTES_MAX) return -1
  addressText[length] = 0
  const bracketed = addressText[0] === BRACKET
  let end = bracketed ? -1 : readIpv4(0, 0)
  if (end !== -1) {
    if (!isPortOrEnd(end, length)) return -1
  } else {
    end = readIpv6(bracketed ? 1 : 0)
    if (end === -1) return -1
    if (!bracketed && end !== length) return -1
    if (bracketed && (addressText[end] !== BRACKET_END || !isPortOrEnd(end + 1, length))) return -1
    if (!isMapped()) return isReachableIpv6() ? Family.ipv6 : -1
    for (let n = 0; n < 4; n++) address[n] = address[12 + n] as number
  }
  for (let n = 4; n < 16; n++) address[n] = 0
  return isZero(0, 4) ? -1 : Family.ipv4
}

function isPortOrEnd(from: number, length: number): boolean {
  if (from === length) return true
  if (addressText[from] !== COLON || from + 1 === length) return false
  for (let n = from + 1; n < length; n++) if (!isDigit(addressText[n] as number)) return false
  return true
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= ZERO + 9
}

function isZero(from: number, end: number): boolean {
  for (let n = from; n < end; n++) if (address[n] !== 0) return false
  return true
}

/** ::ffff:0:0/96 */
function isMapped(): boolean {
  return isZero(0, 10) && address[10] === 0xff && address[11] === 0xff
}

function isReachableIpv6(): boolean {
  const linkLocal = address[0] === 0xfe && ((address[1] as number) & 0xc0) === 0x80
  return !linkLocal && !isZero(0, 16)
}

/**
 * Reads the dotted quad at `from` of addressText to `into` of address. Returns where it ends, or
 * -1.
 */
function readIpv4(from: number, into: number): number {
  let place = from
  for (let part = 0; part < 4; part++) {
    if (part > 0 && addressText[place++] !== DOT) return -1
    const begin = place
    let value = 0
    for (; place < begin + 3 && isDigit(addressText[place] as number); place++) {
      value = value * 10 + (addressText[place] as number) - ZERO
    }
    // Some read a leading zero as octal.
    if (place === begin || value > 255 || (place > begin + 1 && addressText[begin] === ZERO))
      return -1
    address[into + part] = value
  }
  return place
}

/**
 * Reads the IPv6 address (RFC 4291 §2.2) at `from` of addressText. Returns where it ends, or -1.
 */
function readIpv6(from: number): number {
  let place = from
  let count = 0
  let gap = -1
  if (addressText[place] === COLON) {
    if (addressText[place + 1] !== COLON) return -1
    gap = 0
    place += 2
  }
  while (count < 16) {
    const begin = place
    let value = 0
    for (; place < begin + 4 && HEX[addressText[place] as number] !== -1; place++) {
      value = (value << 4) | (HEX[addressText[place] as number] as number)
    }
    if (place === begin) {
      if (gap !== count) return -1
      break
    }
    if (addressText[place] === DOT) {
      if (count > 12) return -1
      place = readIpv4(begin, count)
      if (place === -1) return -1
      count += 4
      break
    }
    address[count++] = value >> 8
    address[count++] = value & 0xff
    if (count === 16 || addressText[place] !== COLON) break
    place++
    if (addressText[place] === COLON) {
      if (gap !== -1) return -1
      gap = count
      place++
    }
  }
  return closeGap(gap, count) ? place : -1
}

/**
 * Spreads the `count` bytes of an address whose `::` stands before byte `gap`, or nowhere (-1), to
 * all 16.
 */
function closeGap(gap: number, count: number): boolean {
  if (gap === -1) return count === 16
  if (count === 16) return false
  for (let n = 15; n >= gap; n--) {
    const source = n - (16 - count)
    address[n] = source >= gap ? (address[source] as number) : 0
  }
  return true
}
