import { bytesOf } from '../protocol/bytes.ts'
import { FAMILIES } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { listOf, peerCount, seederCount } from './tables/peer-list.ts'
import { NO_TORRENT } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { findTorrent } from './tables/torrents.ts'
import type { PerFamily } from './totals.ts'

/** Seeders and leechers of a torrent by address family; all 0 for an unknown torrent. */
export function readFamilies(
  { held }: Engine,
  hash: Uint8Array,
): { readonly seeders: PerFamily; readonly leechers: PerFamily } {
  const { view } = bytesOf(hash)
  const hashed = hashInfoHash(held.hashKey, view, 0)
  const seeders: [number, number, number] = [0, 0, 0]
  const leechers: [number, number, number] = [0, 0, 0]
  holdStripeOf(held, hashed)
  try {
    const { arena } = held
    const torrent = findTorrent(held, hashed, view, 0)
    for (const family of torrent === NO_TORRENT ? [] : FAMILIES) {
      const list = listOf(arena, torrent, family)
      seeders[family] = seederCount(arena, list)
      leechers[family] = peerCount(arena, list) - seederCount(arena, list)
    }
  } finally {
    releaseStripe(held)
  }
  return { seeders, leechers }
}
