import { parseIpv4, parseIpv6 } from '../../protocol/ip.ts'

/** HAProxy's specification, "The PROXY protocol, versions 1 & 2", sections 2.1 and 2.2. */

/** Result of parsing the first bytes of a connection. */
export type ProxyHeader =
  /** More bytes are needed to decide. */
  | { readonly kind: 'incomplete' }
  /** No PROXY header. */
  | { readonly kind: 'absent' }
  /** A malformed header. */
  | { readonly kind: 'invalid' }
  /**
   * A header of `bytes` bytes. `address` has 4 or 16 bytes; undefined for a health check of the
   * proxy itself.
   */
  | {
      readonly kind: 'header'
      readonly bytes: number
      readonly address: Uint8Array | undefined
    }

const SIGNATURE_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const VERSION_AND_COMMAND = 12
const FAMILY_AND_TRANSPORT = 13
const LENGTH = 14 // u16, of what follows
const ADDRESSES = 16
const LOCAL = 0
const PROXY = 1
/** Bytes of the source address, and of both addresses with their ports, by address family. */
const FAMILIES: Readonly<Record<number, readonly [source: number, block: number]>> = {
  1: [4, 12],
  2: [16, 36],
}
/** AF_UNIX: two paths of 108 bytes. */
const UNIX = 3
const UNIX_BLOCK_BYTES = 216

const SIGNATURE_V1 = Buffer.from('PROXY ', 'latin1')
/** Bytes of the longest line of version 1, with CR LF. */
const LINE_BYTES_MAX = 107
const LINE = /^PROXY (TCP[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' }
const ABSENT: ProxyHeader = { kind: 'absent' }
const INVALID: ProxyHeader = { kind: 'invalid' }

/** Reads the PROXY header, of version 1 or 2, at the start of `received`. The address is a copy. */
export function parseProxyHeader(received: Buffer): ProxyHeader {
  if (beginsAs(received, SIGNATURE_V2)) return parseVersion2(received)
  if (beginsAs(received, SIGNATURE_V1)) return parseVersion1(received)
  return ABSENT
}

/** Whether all of `received` that the signature covers is the same. */
function beginsAs(received: Buffer, signature: Buffer): boolean {
  const bytes = Math.min(received.length, signature.length)
  return received.compare(signature, 0, bytes, 0, bytes) === 0
}

function parseVersion2(received: Buffer): ProxyHeader {
  if (received.length < ADDRESSES) return INCOMPLETE
  const versionAndCommand = received[VERSION_AND_COMMAND] ?? 0
  const command = versionAndCommand & 0xf
  if (versionAndCommand >> 4 !== 2 || command > PROXY) return INVALID
  const family = (received[FAMILY_AND_TRANSPORT] ?? 0) >> 4
  const length = received.readUInt16BE(LENGTH)
  const [sourceBytes, blockBytes] = FAMILIES[family] ?? [0, family === UNIX ? UNIX_BLOCK_BYTES : 0]
  if (command === PROXY && length < blockBytes) return INVALID
  const bytes = ADDRESSES + length
  if (received.length < bytes) return INCOMPLETE
  const hasAddress = command !== LOCAL && sourceBytes > 0
  return {
    kind: 'header',
    bytes,
    address: hasAddress
      ? Uint8Array.from(received.subarray(ADDRESSES, ADDRESSES + sourceBytes))
      : undefined,
  }
}

function parseVersion1(received: Buffer): ProxyHeader {
  const end = received.subarray(0, LINE_BYTES_MAX).indexOf('\r\n')
  if (end === -1) return received.length < LINE_BYTES_MAX ? INCOMPLETE : INVALID
  const line = received.toString('latin1', 0, end)
  const bytes = end + 2
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) {
    return { kind: 'header', bytes, address: undefined }
  }
  const [, family, source = '', destination = '', ...ports] = LINE.exec(line) ?? []
  const parse = family === 'TCP4' ? parseIpv4 : parseIpv6
  const address = parse(source)
  if (!address || !parse(destination) || ports.some(port => Number(port) > 65_535)) return INVALID
  return { kind: 'header', bytes, address: Uint8Array.from(address) }
}
