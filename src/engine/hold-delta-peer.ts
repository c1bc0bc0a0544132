import {
  DELTA_ADDRESS,
  DELTA_ADDRESS_BYTES,
  DELTA_BITS,
  DELTA_FAMILY_BITS,
  DeltaBit,
} from '../protocol/delta-record.ts'
import { type Family, HASH_BYTES } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import type { TorrentRef } from './tables/references.ts'
import { holdStripeOf } from './tables/stripe.ts'
import { findTorrent } from './tables/torrents.ts'

/**
 * Holds the stripe of the torrent in the delta at `at`, and makes the IP peer in the delta the
 * current one, without a copy of it. Returns the torrent; NO_TORRENT if it is unknown.
 */
export function holdDeltaPeer(
  { announce: { peer }, hashKey, held }: Engine,
  view: DataView,
  at: number,
): TorrentRef {
  const bits = view.getUint8(at + DELTA_BITS)
  const family = (bits & DELTA_FAMILY_BITS) as Family
  const infoHashAt = at + DELTA_ADDRESS + DELTA_ADDRESS_BYTES[family]
  const hash = hashInfoHash(hashKey, view, infoHashAt)
  peer.family = family
  peer.view = view
  peer.addressAt = at + DELTA_ADDRESS
  peer.idAt = infoHashAt + HASH_BYTES
  peer.seeder = (bits & DeltaBit.seeder) !== 0
  holdStripeOf(held, hash)
  return findTorrent(held, hash, view, infoHashAt)
}
