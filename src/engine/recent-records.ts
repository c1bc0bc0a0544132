import type { Bytes } from '../protocol/bytes.ts'
import { COMPACT_BYTES, Family, type IpFamily } from '../protocol/records.ts'
import { DETAIL_USER } from './tables/layout.ts'
import { isForeignLease } from './tables/lease.ts'
import {
  detailSeen,
  RECORD_DETAIL_BYTES,
  RECORD_HEAD_BYTES,
  RECORD_PEERS,
  recordPeers,
} from './torrent-record.ts'

/** The peers of records that are given to another node, by Unix seconds. */
export type Wanted = {
  /** Peers that were seen since. */
  readonly since: number
  /** Peers that other nodes own and that were last seen before it; 0 for none. */
  readonly leasedBefore: number
}

/**
 * Removes the peers that are not wanted from the whole records between `at` and `end`
 * (torrent-record.ts), in place. Returns where the records end then.
 */
export function dropOldPeers(records: Bytes, at: number, end: number, wanted: Wanted): number {
  const { u8, view } = records
  let from = at
  let to = at
  while (from < end) {
    const counts = [recordPeers(view, from, Family.ipv4), recordPeers(view, from, Family.ipv6)]
    const head = to
    u8.copyWithin(to, from, from + RECORD_HEAD_BYTES)
    from += RECORD_HEAD_BYTES
    to += RECORD_HEAD_BYTES
    for (const family of [Family.ipv4, Family.ipv6] as const) {
      const count = counts[family] as number
      const kept = recentPeers(view, from, { family, count }, wanted)
      to = copyPeers(records, { from, to, family, count, kept })
      from += count * (COMPACT_BYTES[family] + RECORD_DETAIL_BYTES)
      view.setUint16(head + RECORD_PEERS[family], kept.length, true)
    }
  }
  return to
}

function recentPeers(
  view: DataView,
  from: number,
  { family, count }: Pick<PeerRun, 'family' | 'count'>,
  { leasedBefore, since }: Wanted,
): number[] {
  const details = from + count * COMPACT_BYTES[family]
  const kept: number[] = []
  for (let peer = 0; peer < count; peer++) {
    const detail = details + peer * RECORD_DETAIL_BYTES
    const seen = detailSeen(view, detail)
    const isLeased =
      seen < leasedBefore && isForeignLease(view.getInt32(detail + DETAIL_USER, true))
    if (seen >= since || isLeased) kept.push(peer)
  }
  return kept
}

type PeerRun = {
  readonly from: number
  readonly to: number
  readonly family: IpFamily
  readonly count: number
  readonly kept: readonly number[]
}

/** Copies compact forms, then details, of the kept peers; the copy is never ahead of its source. */
function copyPeers({ u8 }: Bytes, { from, to, family, count, kept }: PeerRun): number {
  const width = COMPACT_BYTES[family]
  const details = from + count * width
  let next = to
  for (const peer of kept) {
    u8.copyWithin(next, from + peer * width, from + (peer + 1) * width)
    next += width
  }
  for (const peer of kept) {
    const detail = details + peer * RECORD_DETAIL_BYTES
    u8.copyWithin(next, detail, detail + RECORD_DETAIL_BYTES)
    next += RECORD_DETAIL_BYTES
  }
  return next
}
