import { type CidrList, isInCidrs } from '../../frontends/client-address.ts'
import type { Bytes } from '../bytes.ts'

/**
 * Cloudflare's Simple Proxy Protocol: what a proxy puts before each datagram that it passes on. Offsets in bytes, big-endian. Replies carry
 * no header.
 */
const MAGIC_AT = 0 // u16
const CLIENT_ADDRESS = 2 // 16, an IPv4 address in its IPv6 form
export const SIMPLE_PROXY_BYTES = 38 // behind it the proxy's own address (16), the client's port (u16) and the proxy's (u16)

const MAGIC = 0x56ec

/** Where the four bytes of ::ffff:a.b.c.d begin (RFC 4291 §2.5.5.2). */
const MAPPED_AT = 12

/**
 * Where the client's address lies, if the datagram of `length` bytes at `at` comes from a trusted proxy, whose address of `senderBytes` is at
 * `senderAt`, and begins with such a header; else -1. An IPv4 address is its last four bytes: see `isMappedAt`.
 */
export function proxiedClientAt(
  trusted: CidrList,
  memory: Bytes,
  at: number,
  length: number,
  senderAt: number,
  senderBytes: number,
): number {
  if (length < SIMPLE_PROXY_BYTES || memory.view.getUint16(at + MAGIC_AT) !== MAGIC) return -1
  if (!isInCidrs(trusted, memory.u8.subarray(senderAt, senderAt + senderBytes))) return -1
  const client = at + CLIENT_ADDRESS
  return isMappedAt(memory.view, client) ? client + MAPPED_AT : client
}

/** Whether the address that `proxiedClientAt` found, in the datagram at `at`, is IPv4. */
export function isIpv4Client(at: number, clientAt: number): boolean {
  return clientAt === at + CLIENT_ADDRESS + MAPPED_AT
}

function isMappedAt(view: DataView, at: number): boolean {
  return view.getInt32(at) === 0 && view.getInt32(at + 4) === 0 && view.getInt32(at + 8) === 0xffff
}
