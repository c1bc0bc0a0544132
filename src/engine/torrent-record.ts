import { COMPACT_BYTES, Family, HASH_BYTES, type IpFamily } from '../protocol/records.ts'
import { DETAIL_BYTES, DETAIL_LEFT, DETAIL_SEEN, SEGMENT_PEERS } from './tables/layout.ts'

/**
 * A torrent and its peers outside of the tables. Offsets in bytes; integers little-endian. The head
 * is followed by the compact bytes of all IPv4 peers, the details of these, and the same of all
 * IPv6 peers (layout.ts). A torrent of many peers is a record without peers, followed by one record
 * per segment.
 */
export const RECORD_HASH = 0 // 20
export const RECORD_COMPLETED = RECORD_HASH + HASH_BYTES // u32
export const RECORD_ACTIVE = 24 // u32, Unix seconds of the last announce
export const RECORD_PEERS = [28, 30] as const // u16 per family, RECORD_PEERS_MAX at most
export const RECORD_FLAGS = 32 // u32
export const RECORD_HEAD_BYTES = 36
export const RECORD_PEERS_MAX = SEGMENT_PEERS

/** Bit of RECORD_FLAGS: the record has more peers of the torrent of an earlier record. */
export const CONTINUED = 1

/** Bytes of a peer's details, and of its compact form per family. A snapshot stores both sizes. */
export const RECORD_DETAIL_BYTES = DETAIL_BYTES
export const RECORD_COMPACT_BYTES = [
  COMPACT_BYTES[Family.ipv4],
  COMPACT_BYTES[Family.ipv6],
] as const

/** Bytes of a record with these numbers of peers. */
export function recordBytes(ipv4: number, ipv6: number): number {
  return (
    RECORD_HEAD_BYTES +
    ipv4 * (COMPACT_BYTES[Family.ipv4] + DETAIL_BYTES) +
    ipv6 * (COMPACT_BYTES[Family.ipv6] + DETAIL_BYTES)
  )
}

export const RECORD_BYTES_MAX = recordBytes(RECORD_PEERS_MAX, RECORD_PEERS_MAX)

/** Number of peers of a family in the record at `at`. */
export function recordPeers(view: DataView, at: number, family: IpFamily): number {
  return view.getUint16(at + RECORD_PEERS[family], true)
}

/** End of the record at `at`; -1 if it is malformed or does not end by `end`. */
export function recordEnd(view: DataView, at: number, end: number): number {
  if (at + RECORD_HEAD_BYTES > end) return -1
  const ipv4 = recordPeers(view, at, Family.ipv4)
  const ipv6 = recordPeers(view, at, Family.ipv6)
  const recordEndsAt = at + recordBytes(ipv4, ipv6)
  if (ipv4 > RECORD_PEERS_MAX || ipv6 > RECORD_PEERS_MAX || recordEndsAt > end) return -1
  return recordEndsAt
}

/** Whether the peer with these details has nothing left to download. */
export function detailIsSeeder(view: DataView, detail: number): boolean {
  const left = detail + DETAIL_LEFT
  return view.getUint32(left, true) === 0 && view.getUint16(left + 4, true) === 0
}

/** Unix seconds at which the peer with these details last announced. */
export function detailSeen(view: DataView, detail: number): number {
  return view.getUint32(detail + DETAIL_SEEN, true)
}
