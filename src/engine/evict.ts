import { FAMILIES } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { increment } from './tables/arena.ts'
import { STRIPE_EVICTED } from './tables/layout.ts'
import { detailAt, lastSeen, listOf, peerCount, torrentPeers } from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import type { HeldStripe } from './tables/stripe.ts'
import { indexSize, removeTorrentAt, torrentAt, torrentFlags } from './tables/torrents.ts'

/** Peers scanned in one eviction, so that a stripe with a huge swarm is not held for long. */
const EVICT_SCAN_MAX = 8192
/**
 * A fraction of 1/EVICT_SHARE of the time span between the oldest peer and now is evicted, so that
 * the next peers fit, too.
 */
const EVICT_SHARE = 8

/**
 * Frees memory in the held stripe: removes the peers that announced longest ago, and torrents left
 * without any. `keep` is a torrent that must stay. Returns whether something was removed.
 */
export function evictOldest(engine: Engine, keep: TorrentRef, nowSeconds: number): boolean {
  const { held } = engine
  const size = indexSize(held)
  if (size === 0) return false
  const first = randomBelow(engine.random, size)
  const oldest = oldestSeen(held, first, nowSeconds)
  const limit = oldest + Math.floor((nowSeconds - oldest) / EVICT_SHARE)
  let evicted = 0
  let left = EVICT_SCAN_MAX
  for (let n = 0; n < size && left > 0; n++) {
    const place = (first + n) & (size - 1)
    for (let torrent = torrentAt(held, place); torrent !== NO_TORRENT && left > 0; ) {
      const removed = evictFrom(engine, torrent, limit, left)
      left -= 1 + torrentPeers(held.arena, torrent) + removed
      evicted += removed
      if (torrent === keep || torrentPeers(held.arena, torrent) > 0 || isKept(held, torrent)) break
      removeTorrentAt(held, place)
      evicted++
      torrent = torrentAt(held, place)
    }
  }
  return evicted > 0
}

/** Whether the torrent must stay because the database stores data of it. */
function isKept({ arena }: HeldStripe, torrent: TorrentRef): boolean {
  return torrentFlags(arena, torrent) !== 0
}

/** When the oldest of the scanned peers announced, in Unix seconds. */
function oldestSeen(held: HeldStripe, first: number, nowSeconds: number): number {
  const { arena } = held
  const size = indexSize(held)
  let oldest = nowSeconds
  let left = EVICT_SCAN_MAX
  for (let n = 0; n < size && left > 0; n++) {
    const torrent = torrentAt(held, (first + n) & (size - 1))
    if (torrent === NO_TORRENT) continue
    left--
    for (const family of FAMILIES) {
      const list = listOf(arena, torrent, family)
      const count = Math.min(peerCount(arena, list), left)
      for (let slot = 0; slot < count; slot++) {
        oldest = Math.min(oldest, lastSeen(arena, detailAt(arena, list, family, slot as Slot)))
      }
      left -= count
    }
  }
  return oldest
}

/**
 * Evicts peers of a torrent that announced no later than `limit`; scans at most `most` per family.
 */
function evictFrom(engine: Engine, torrent: TorrentRef, limit: number, most: number): number {
  const { held } = engine
  const { arena } = held
  let removed = 0
  for (const family of FAMILIES) {
    const list = listOf(arena, torrent, family)
    for (let n = Math.min(peerCount(arena, list), most) - 1; n >= 0; n--) {
      const slot = n as Slot
      if (lastSeen(arena, detailAt(arena, list, family, slot)) > limit) continue
      removeOwnedPeer(engine, torrent, family, slot)
      increment(arena, held.head + STRIPE_EVICTED)
      removed++
    }
  }
  return removed
}
