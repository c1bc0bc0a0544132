import { DELTA_BITS, DELTA_FAMILY_BITS, DELTA_PORT, DeltaBit } from '../protocol/delta-record.ts'
import { COMPACT_BYTES, Family, PORT_BYTES } from '../protocol/records.ts'
import type { Applier } from './applier.ts'
import type { Engine } from './engine.ts'
import { holdDeltaPeer } from './hold-delta-peer.ts'
import { findPeerOf } from './tables/find-peer.ts'
import { COMPLETION_COUNTED, DETAIL_SEEN, DETAIL_USER, PEER_RETURNED } from './tables/layout.ts'
import { isOwnLease, ownLease, wordAt } from './tables/lease.ts'
import { compactAt, detailAt, lastSeen, listOf, seederCount } from './tables/peer-list.ts'
import { NO_SLOT, type TorrentRef } from './tables/references.ts'
import { releaseStripe } from './tables/stripe.ts'
import { torrentActive, touchTorrent } from './tables/torrents.ts'

/** A delta with any of these bits changes more than the time of an announce. */
const MORE_BITS = DeltaBit.stopped | DeltaBit.completed | DeltaBit.counts | DeltaBit.user

/**
 * Applies the delta at `at` if it is of an IP peer that the tables know with the same port and
 * state, which is the case for most deltas: only the time of the peer's last announce and its lease
 * change. Returns whether the delta was applied. `seen` is the Unix second of the announce.
 */
export function renewPeer(
  { counts, engine }: Applier,
  view: DataView,
  at: number,
  seen: number,
  lease: number,
): boolean {
  const bits = view.getUint8(at + DELTA_BITS)
  const isWebsocket = (bits & DELTA_FAMILY_BITS) === Family.websocket
  if ((bits & MORE_BITS) !== 0 || isWebsocket || engine.access.rules.users) return false
  const { held } = engine
  const torrent = holdDeltaPeer(engine, view, at)
  const detail = sameDetail(engine, torrent, view.getUint16(at + DELTA_PORT, true))
  if (detail !== 0) {
    if (lastSeen(held.arena, detail) > seen) counts.older++
    else {
      renew(engine, detail, seen, lease)
      if (seen > torrentActive(held.arena, torrent)) touchTorrent(held.arena, torrent, seen)
      counts.applied++
    }
  }
  releaseStripe(held)
  return detail !== 0
}

/** Offset of the details of the current peer; 0 unless it is known with this port and its state. */
function sameDetail({ announce: { peer }, held }: Engine, torrent: TorrentRef, port: number) {
  const { arena } = held
  const { family } = peer
  const slot = findPeerOf(held, torrent, peer)
  if (slot === NO_SLOT) return 0
  const list = listOf(arena, torrent, family)
  if (peer.seeder !== slot < seederCount(arena, list)) return 0
  const portAt = compactAt(arena, list, family, slot) + COMPACT_BYTES[family] - PORT_BYTES
  // The tables have port 0 for a peer that is not handed out.
  if (port === 0 || arena.view.getUint16(portAt) !== port) return 0
  return detailAt(arena, list, family, slot)
}

/** Writes what such an announce changes. Of two in one second, the one to this node stays. */
function renew(engine: Engine, detail: number, seen: number, lease: number): void {
  const { announce, held, leases } = engine
  const { arena } = held
  const word = wordAt(arena, detail)
  const isOwn = isOwnLease(word) && lastSeen(arena, detail) === seen
  const counted = announce.peer.seeder ? word & COMPLETION_COUNTED : 0
  const next = counted | PEER_RETURNED | (isOwn ? ownLease(leases) : lease)
  arena.view.setUint32(detail + DETAIL_SEEN, seen, true)
  arena.view.setInt32(detail + DETAIL_USER, next, true)
}
