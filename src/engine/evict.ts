import { FAMILIES, Family, type IpFamily } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { type Arena, increment } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { STRIPE_EVICTED, TORRENT_HASH } from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  hasReturned,
  lastSeen,
  listOf,
  peerCount,
  torrentPeers,
} from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { indexSize, mayForget, noteForgotten, removeTorrent, torrentAt } from './tables/torrents.ts'

/** Peers and torrents scanned in one eviction, so that a stripe is not held for long. */
const SCAN_MAX = 4096
/** Torrents that one eviction removes, so that the next ones fit, too. */
const TORRENTS_MAX = 64
/**
 * A source holds too much if more than a fraction of 1/CROWD_SHARE of the scanned peers is from it,
 * and more than CROWD_MIN. One eviction removes at most CROWD_REMOVALS_MAX of them.
 */
const CROWD_SHARE = 8
const CROWD_MIN = 32
const CROWD_REMOVALS_MAX = 128
/**
 * A fraction of 1/EVICT_SHARE of the time span between the oldest peer and now is evicted, so that
 * the next peers fit, too.
 */
const EVICT_SHARE = 8

/**
 * Frees memory in the held stripe, which is full. Removes what costs least: torrents without peers
 * whose counts the database has, then torrents of one peer that announced once, then peers of the
 * source that holds most, then the peers that announced longest ago. `keep` is a torrent that must
 * stay. Returns whether something was removed.
 */
export function evict(engine: Engine, keep: TorrentRef, nowSeconds: number): boolean {
  const size = indexSize(engine.held)
  if (size === 0) return false
  const first = randomBelow(engine.random, size)
  return (
    evictTorrents(engine, keep, first) ||
    evictCrowd(engine, keep, first) ||
    evictOldest(engine, keep, first, nowSeconds)
  )
}

/** Torrents to remove, and when their only peers announced. */
const candidates = new Int32Array(TORRENTS_MAX)
const candidatesSeen = new Float64Array(TORRENTS_MAX)

/** Removes torrents without peers, or else the older half of those with a peer that came once. */
function evictTorrents(engine: Engine, keep: TorrentRef, first: number): boolean {
  const { held, settings } = engine
  const { arena } = held
  const size = indexSize(held)
  let vacant = 0
  let single = 0
  let oldest = Number.POSITIVE_INFINITY
  let newest = 0
  for (let n = 0; n < size && n < SCAN_MAX && vacant < TORRENTS_MAX; n++) {
    const torrent = torrentAt(held, (first + n) & (size - 1))
    if (torrent === NO_TORRENT || torrent === keep) continue
    const peers = torrentPeers(arena, torrent)
    if (peers > 1 || !mayForget(arena, torrent, settings.persistent)) continue
    if (peers === 0) {
      // A torrent without peers replaces the candidates that have a peer.
      candidates[vacant++] = torrent
      continue
    }
    const seen = vacant > 0 ? -1 : seenOnce(arena, torrent)
    if (seen === -1 || single === TORRENTS_MAX) continue
    oldest = Math.min(oldest, seen)
    newest = Math.max(newest, seen)
    candidatesSeen[single] = seen
    candidates[single++] = torrent
  }
  const limit = vacant > 0 ? Number.POSITIVE_INFINITY : oldest + (newest - oldest) / 2
  let evicted = 0
  for (let n = 0; n < (vacant || single); n++) {
    if (vacant === 0 && candidatesSeen[n]! > limit) continue
    evictTorrent(engine, candidates[n] as TorrentRef)
    evicted++
  }
  return evicted > 0
}

/** When the only peer of a torrent announced, in Unix seconds; -1 if it did more than once. */
function seenOnce(arena: Arena, torrent: TorrentRef): number {
  for (const family of FAMILIES) {
    const list = listOf(arena, torrent, family)
    if (peerCount(arena, list) === 0) continue
    const detail = detailAt(arena, list, family, 0 as Slot)
    return hasReturned(arena, detail) ? -1 : lastSeen(arena, detail)
  }
  return -1
}

function evictTorrent(engine: Engine, torrent: TorrentRef): void {
  const { held } = engine
  for (const family of FAMILIES) evictPeers(engine, torrent, family, Number.POSITIVE_INFINITY)
  noteForgotten(held, torrent)
  const hash = hashInfoHash(held.hashKey, held.arena.view, torrent + TORRENT_HASH)
  removeTorrent(held, torrent, hash)
}

/** Removes a torrent that has lost its last peer, unless it must stay. */
function dropVacant(engine: Engine, torrent: TorrentRef, keep: TorrentRef): void {
  const { held, settings } = engine
  if (torrent === keep || torrentPeers(held.arena, torrent) > 0) return
  if (mayForget(held.arena, torrent, settings.persistent)) evictTorrent(engine, torrent)
}

/** Sources of the scanned peers, by a hash, and how many are of each. */
const SOURCES = 4096
const sources = new Uint16Array(SOURCES)

/** Number of the IPv4 address, or of the IPv6 /48, at `at`. */
function sourceOf({ view }: Arena, family: IpFamily, at: number, seed: number): number {
  const head = view.getInt32(at, true)
  const more = family === Family.ipv4 ? 0 : view.getInt16(at + 4, true)
  return Math.imul(Math.imul(head ^ seed, 0x85ebca6b) ^ more, 0xc2b2ae35) >>> 20
}

/** Removes peers of the source that most of the scanned peers are from, if it holds too much. */
function evictCrowd(engine: Engine, keep: TorrentRef, first: number): boolean {
  const { held } = engine
  const seed = held.hashKey[0]
  sources.fill(0)
  let most = 0
  let crowd = 0
  const scanned = eachPeer(engine, first, (family, at) => {
    const source = sourceOf(held.arena, family, at, seed)
    const count = sources[source]! + 1
    sources[source] = count
    if (count <= most) return false
    most = count
    crowd = source
    return false
  })
  if (most < CROWD_MIN || most * CROWD_SHARE < scanned) return false
  let left = CROWD_REMOVALS_MAX
  eachPeer(
    engine,
    first,
    (family, at) => left > 0 && sourceOf(held.arena, family, at, seed) === crowd && left-- > 0,
    torrent => dropVacant(engine, torrent, keep),
  )
  return left < CROWD_REMOVALS_MAX
}

/**
 * Visits the peers of about SCAN_MAX slots of IPv4 and IPv6 with their address, from the place
 * `first` of the index on, each list from its end. A peer is removed where `visit` returns true.
 * `leave` is called after each torrent of which peers were removed. Returns the number of peers.
 */
function eachPeer(
  engine: Engine,
  first: number,
  visit: (family: IpFamily, addressAt: number) => boolean,
  leave?: (torrent: TorrentRef) => void,
): number {
  const { held } = engine
  const { arena } = held
  const size = indexSize(held)
  let scanned = 0
  for (let n = 0; n < size && n < SCAN_MAX && scanned < SCAN_MAX; n++) {
    const torrent = torrentAt(held, (first + n) & (size - 1))
    if (torrent === NO_TORRENT) continue
    let removed = 0
    for (const family of [Family.ipv4, Family.ipv6] as const) {
      const list = listOf(arena, torrent, family)
      for (let slot = Math.min(peerCount(arena, list), SCAN_MAX) - 1; slot >= 0; slot--) {
        scanned++
        if (!visit(family, compactAt(arena, list, family, slot as Slot))) continue
        evictPeer(engine, torrent, family, slot as Slot)
        removed++
      }
    }
    if (removed > 0) leave?.(torrent)
  }
  return scanned
}

/** Removes the peers that announced longest ago, and torrents left without any. */
function evictOldest(engine: Engine, keep: TorrentRef, first: number, nowSeconds: number): boolean {
  const { held } = engine
  const size = indexSize(held)
  const oldest = oldestSeen(engine, first, nowSeconds)
  const limit = oldest + Math.floor((nowSeconds - oldest) / EVICT_SHARE)
  let evicted = 0
  let left = SCAN_MAX
  for (let n = 0; n < size && left > 0; n++) {
    const torrent = torrentAt(held, (first + n) & (size - 1))
    if (torrent === NO_TORRENT) continue
    left -= 1 + torrentPeers(held.arena, torrent)
    let removed = 0
    for (const family of FAMILIES) removed += evictPeers(engine, torrent, family, limit)
    if (removed > 0) dropVacant(engine, torrent, keep)
    evicted += removed
  }
  return evicted > 0
}

/** When the oldest of the scanned peers announced, in Unix seconds. */
function oldestSeen({ held }: Engine, first: number, nowSeconds: number): number {
  const { arena } = held
  const size = indexSize(held)
  let oldest = nowSeconds
  let left = SCAN_MAX
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

/** Removes those of the first SCAN_MAX peers of a list that announced no later than `limit`. */
function evictPeers(engine: Engine, torrent: TorrentRef, family: Family, limit: number): number {
  const { arena } = engine.held
  const list = listOf(arena, torrent, family)
  let removed = 0
  for (let n = Math.min(peerCount(arena, list), SCAN_MAX) - 1; n >= 0; n--) {
    const slot = n as Slot
    if (lastSeen(arena, detailAt(arena, list, family, slot)) > limit) continue
    evictPeer(engine, torrent, family, slot)
    removed++
  }
  return removed
}

function evictPeer(engine: Engine, torrent: TorrentRef, family: Family, slot: Slot): void {
  const { held } = engine
  removeOwnedPeer(engine, torrent, family, slot)
  increment(held.arena, held.head + STRIPE_EVICTED)
}
