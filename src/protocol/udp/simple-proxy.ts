import type { Bytes } from '../bytes.ts'
import { type CidrList, isInCidrs, isMapped, MAPPED_AT } from '../ip.ts'
import type { ClientAddress } from './connection-id.ts'

/**
 * Cloudflare's Simple Proxy Protocol: the header that a proxy puts before each datagram that it
 * forwards. Offsets in bytes, big-endian. Replies do not have a header.
 */
const MAGIC_AT = 0 // u16
const CLIENT_ADDRESS = 2 // 16, an IPv4 address in its IPv6 form
// 18: the proxy's own address, 16; 34: the client's port, u16; 36: the proxy's port, u16
export const SIMPLE_PROXY_BYTES = 38

const MAGIC = 0x56ec

/**
 * Offset of the client's address, if the datagram of `length` bytes at `at` comes from a trusted
 * proxy, whose address in the same memory is `sender`, and begins with such a header; -1
 * otherwise. For a mapped IPv4 address it is the offset of the last four bytes: see `isIpv4Client`.
 */
export function proxiedClientAt(
  trusted: CidrList,
  memory: Bytes,
  at: number,
  length: number,
  sender: Pick<ClientAddress, 'at' | 'bytes'>,
): number {
  if (length < SIMPLE_PROXY_BYTES || memory.view.getUint16(at + MAGIC_AT) !== MAGIC) return -1
  if (!isInCidrs(trusted, memory.u8.subarray(sender.at, sender.at + sender.bytes))) return -1
  const client = at + CLIENT_ADDRESS
  return isMapped(memory.u8, client) ? client + MAPPED_AT : client
}

/** Whether the address that `proxiedClientAt` found, in the datagram at `at`, is IPv4. */
export function isIpv4Client(at: number, clientAt: number): boolean {
  return clientAt === at + CLIENT_ADDRESS + MAPPED_AT
}
