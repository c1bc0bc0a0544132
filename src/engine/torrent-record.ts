import {
  DETAIL_BYTES,
  DETAIL_LEFT,
  DETAIL_SEEN,
  PEER_WIDTH,
  SEGMENT_PEERS,
} from './tables/layout.ts'

/**
 * A torrent and its peers outside of the tables. Offsets in bytes; integers little-endian. Behind the head lie, for each family, the compact
 * bytes of all its peers and then their details, both as in the tables (layout.ts). A torrent of many peers is a record without any
 * and further ones of a segment each.
 */
export const RECORD_HASH = 0 // 20
export const RECORD_COMPLETED = 20 // u32
export const RECORD_ACTIVE = 24 // u32, Unix seconds of the last announce
export const RECORD_PEERS = [28, 30] as const // u16 per family, RECORD_PEERS_MAX at most
export const RECORD_FLAGS = 32 // u32
export const RECORD_HEAD_BYTES = 36
export const RECORD_PEERS_MAX = SEGMENT_PEERS

/** In RECORD_FLAGS: more peers of a torrent that an earlier record has counted. */
export const CONTINUED = 1

/** Bytes of a record of so many peers. */
export function recordBytes(ipv4: number, ipv6: number): number {
  return (
    RECORD_HEAD_BYTES +
    ipv4 * ((PEER_WIDTH[0] as number) + DETAIL_BYTES) +
    ipv6 * ((PEER_WIDTH[1] as number) + DETAIL_BYTES)
  )
}

export const RECORD_BYTES_MAX = recordBytes(RECORD_PEERS_MAX, RECORD_PEERS_MAX)

/** Peers of a family in the record at `at`. */
export function recordPeers(view: DataView, at: number, family: number): number {
  return view.getUint16(at + (RECORD_PEERS[family] as number), true)
}

/** Where the record at `at` ends; -1 when it is none, or does not end by `end`. */
export function recordEnd(view: DataView, at: number, end: number): number {
  if (at + RECORD_HEAD_BYTES > end) return -1
  const ipv4 = recordPeers(view, at, 0)
  const ipv6 = recordPeers(view, at, 1)
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
