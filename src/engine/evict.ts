import type { Engine } from './engine.ts'
import { type Arena, increment } from './tables/arena.ts'
import { FAMILY_COUNT, STRIPE_EVICTED } from './tables/layout.ts'
import { detailAt, lastSeen, listOf, peerCount, torrentPeers } from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { removePeer } from './tables/swarm.ts'
import { indexSize, removeTorrentAt, torrentAt, torrentFlags } from './tables/torrents.ts'

/** Peers looked at in one eviction, so that a stripe with a huge swarm is not held for long. */
const EVICT_SCAN_MAX = 8192
/** One in so many of the time between the oldest and now is evicted at once, so that the next announces find room. */
const EVICT_SHARE = 8

/**
 * Makes room in a stripe whose memory is full, its lock held: takes out the peers that announced longest ago, and torrents left without
 * any. `keep` is a torrent that must stay. Returns whether anything went.
 */
export function evictOldest(
  engine: Engine,
  arena: Arena,
  stripe: number,
  keep: number,
  nowSeconds: number,
): boolean {
  const size = indexSize(arena, stripe)
  if (size === 0) return false
  const first = randomBelow(engine.random, size)
  const oldest = oldestSeen(arena, stripe, first, nowSeconds)
  const limit = oldest + Math.floor((nowSeconds - oldest) / EVICT_SHARE)
  let gone = 0
  let left = EVICT_SCAN_MAX
  for (let n = 0; n < size && left > 0; n++) {
    const place = (first + n) & (size - 1)
    for (let torrent = torrentAt(arena, stripe, place); torrent !== 0 && left > 0; ) {
      const removed = evictFrom(engine, arena, stripe, torrent, limit, left)
      left -= 1 + torrentPeers(arena, torrent) + removed
      gone += removed
      if (torrent === keep || torrentPeers(arena, torrent) > 0 || isKept(arena, torrent)) break
      removeTorrentAt(arena, stripe, place, engine.hashKey)
      gone++
      torrent = torrentAt(arena, stripe, place)
    }
  }
  return gone > 0
}

/** What is kept of a torrent must not be forgotten, however full the memory. */
function isKept(arena: Arena, torrent: number): boolean {
  return torrentFlags(arena, torrent) !== 0
}

/** When the oldest of the peers within reach announced, in Unix seconds. */
function oldestSeen(arena: Arena, stripe: number, first: number, nowSeconds: number): number {
  const size = indexSize(arena, stripe)
  let oldest = nowSeconds
  let left = EVICT_SCAN_MAX
  for (let n = 0; n < size && left > 0; n++) {
    const torrent = torrentAt(arena, stripe, (first + n) & (size - 1))
    if (torrent === 0) continue
    left--
    for (let family = 0; family < FAMILY_COUNT; family++) {
      const list = listOf(arena, torrent, family)
      const count = Math.min(peerCount(arena, list), left)
      for (let slot = 0; slot < count; slot++) {
        oldest = Math.min(oldest, lastSeen(arena, detailAt(arena, list, family, slot)))
      }
      left -= count
    }
  }
  return oldest
}

function evictFrom(
  engine: Engine,
  arena: Arena,
  stripe: number,
  torrent: number,
  limit: number,
  most: number,
): number {
  let removed = 0
  for (let family = 0; family < FAMILY_COUNT; family++) {
    const list = listOf(arena, torrent, family)
    for (let slot = Math.min(peerCount(arena, list), most) - 1; slot >= 0; slot--) {
      if (lastSeen(arena, detailAt(arena, list, family, slot)) > limit) continue
      removePeer(arena, stripe, torrent, family, slot, engine.hashKey)
      increment(arena, stripe + STRIPE_EVICTED)
      removed++
    }
  }
  return removed
}
