import type { Applier, DeltaBytes } from './applier.ts'
import { expirePeer } from './expire.ts'
import { holdDeltaPeer } from './hold-delta-peer.ts'
import { expirySeen } from './recent-stops.ts'
import { findPeerOf } from './tables/find-peer.ts'
import { detailAt, lastSeen, listOf } from './tables/peer-list.ts'
import { NO_SLOT } from './tables/references.ts'
import { releaseStripe } from './tables/stripe.ts'

/**
 * Removes the peer in the delta at `at`, which timed out at the node that owned it, unless it has
 * announced to another node since.
 */
export function applyExpiry(applier: Applier, { bytes, view }: DeltaBytes, at: number): void {
  const seen = expirySeen(bytes, at) - applier.aheadSeconds
  removeUnlessLater(applier, view, at, seen)
  applier.stops.note(bytes, at, seen, applier.from, applier.nowSeconds)
}

/** Removes the IP peer of the delta at `at` if it was last seen at this Unix second, or before. */
export function removeUnlessLater(
  { counts, engine }: Applier,
  view: DataView,
  at: number,
  seen: number,
): void {
  const { announce, held } = engine
  const torrent = holdDeltaPeer(engine, view, at)
  const { arena } = held
  const { family } = announce.peer
  const slot = findPeerOf(held, torrent, announce.peer)
  const detail =
    slot === NO_SLOT ? 0 : detailAt(arena, listOf(arena, torrent, family), family, slot)
  if (detail !== 0 && lastSeen(arena, detail) <= seen) {
    expirePeer(engine, torrent, family, slot)
    counts.applied++
  } else counts.older++
  releaseStripe(held)
}
