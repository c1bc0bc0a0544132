import { CONTINUED, RECORD_FLAGS, recordEnd, recordPeers } from '../engine/torrent-record.ts'
import type { Counts } from './format.ts'

/**
 * Adds up the torrent records from `at` to `end`. Returns false when these are not whole records.
 */
export function countRecords(view: DataView, at: number, end: number, counts: Counts): boolean {
  for (let record = at; record < end; ) {
    const next = recordEnd(view, record, end)
    if (next === -1) return false
    if ((view.getUint32(record + RECORD_FLAGS, true) & CONTINUED) === 0) counts.torrents++
    counts.peers[0] += recordPeers(view, record, 0)
    counts.peers[1] += recordPeers(view, record, 1)
    record = next
  }
  return true
}
