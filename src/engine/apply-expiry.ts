import {
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_FAMILY_BITS,
} from '../protocol/delta-record.ts'
import { type Family, HASH_BYTES } from '../protocol/records.ts'
import type { Applier, DeltaBytes } from './applier.ts'
import { expirePeer } from './expire.ts'
import { expirySeen } from './recent-stops.ts'
import { findPeer } from './tables/find-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { detailAt, lastSeen, listOf } from './tables/peer-list.ts'
import { NO_LIST, NO_SLOT, NO_TORRENT } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { findTorrent } from './tables/torrents.ts'

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
  const { announce, hashKey, held } = engine
  const { peer } = announce
  const family = (view.getUint8(at + DELTA_BITS) & DELTA_FAMILY_BITS) as Family
  const infoHashAt = at + DELTA_ADDRESS + DELTA_ADDRESS_BYTES[family]
  const hash = hashInfoHash(hashKey, view, infoHashAt)
  peer.family = family
  peer.view = view
  peer.addressAt = at + DELTA_ADDRESS
  peer.idAt = infoHashAt + HASH_BYTES
  holdStripeOf(held, hash)
  const { arena } = held
  const torrent = findTorrent(held, hash, view, infoHashAt)
  const list = torrent === NO_TORRENT ? NO_LIST : listOf(arena, torrent, family)
  const slot = list === NO_LIST ? NO_SLOT : findPeer(held, list, peer)
  if (slot !== NO_SLOT && lastSeen(arena, detailAt(arena, list, family, slot)) <= seen) {
    expirePeer(engine, torrent, family, slot)
    counts.applied++
  } else counts.older++
  releaseStripe(held)
}
