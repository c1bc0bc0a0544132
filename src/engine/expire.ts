import { FAMILIES, Family, type IpFamily } from '../protocol/records.ts'
import { type DeltaRing, removedPeer, writeExpiry } from './delta-ring.ts'
import type { Engine } from './engine.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { increment } from './tables/arena.ts'
import { STRIPE_EXPIRED } from './tables/layout.ts'
import { hasTimedOut, isOwnLease, timeoutFrom, wordAt } from './tables/lease.ts'
import { detailAt, lastSeen, listOf, peerCount, torrentPeers } from './tables/peer-list.ts'
import { randomBelow } from './tables/random.ts'
import type { Slot, TorrentRef } from './tables/references.ts'
import { markChanged, setTorrentOldest, torrentOldest } from './tables/torrents.ts'

/** Torrents of up to so many peers are checked whole: some ten microseconds. */
const WHOLE_PEERS_MAX = 4096
/** Peers that one request removes: some ten microseconds, too. */
const REMOVALS_MAX = 512
/**
 * Peers of a larger torrent that one announce checks. With an announce per peer and interval each
 * peer is checked this often in an interval.
 */
const WINDOW_PEERS = 32

/**
 * Removes peers of the torrent that did not announce for the timeout, if there can be any, before
 * the torrent is counted and peers are picked. Sets `engine.announce.oldest` if expired peers may
 * be left: in a large torrent, or where there were more than REMOVALS_MAX. Returns the number of
 * removed peers; other peers move to their slots then.
 */
export function expirePeers(engine: Engine, torrent: TorrentRef, nowSeconds: number): number {
  const { arena } = engine.held
  const limit = nowSeconds - engine.settings.peersTimeout
  const { announce } = engine
  announce.oldest = 0
  if (torrentOldest(arena, torrent) >= limit) return 0
  announce.oldest = limit
  if (torrentPeers(arena, torrent) > WHOLE_PEERS_MAX) {
    let removed = 0
    for (const family of FAMILIES) removed += expireWindow(engine, torrent, family, limit)
    return removed
  }
  oldestLeft = nowSeconds
  let removed = 0
  for (const family of FAMILIES) {
    removed += expireList(engine, torrent, family, limit, REMOVALS_MAX - removed)
    if (removed === REMOVALS_MAX) return removed
  }
  setTorrentOldest(arena, torrent, oldestLeft)
  announce.oldest = 0
  return removed
}

/** The Unix second from which the first timeout counts of the peers that `expireList` left. */
let oldestLeft = 0

/** Removes at most `most` expired peers of a list, and returns how many. */
function expireList(
  engine: Engine,
  torrent: TorrentRef,
  family: Family,
  limit: number,
  most: number,
): number {
  const { leases } = engine
  const { arena } = engine.held
  const list = listOf(arena, torrent, family)
  let removed = 0
  // From the end: the peer that fills the slot of a removed one has been checked already.
  for (let slot = peerCount(arena, list) - 1; slot >= 0 && removed < most; slot--) {
    const detail = detailAt(arena, list, family, slot as Slot)
    const word = wordAt(arena, detail)
    const seen = lastSeen(arena, detail)
    if (seen < limit && hasTimedOut(leases, word, seen, limit)) {
      expirePeer(engine, torrent, family, slot as Slot)
      removed++
      continue
    }
    const from = timeoutFrom(leases, word, seen, limit + engine.settings.peersTimeout)
    if (from < oldestLeft) oldestLeft = from
  }
  return removed
}

/** Removes the expired peers among WINDOW_PEERS of a list, and returns how many. */
function expireWindow(engine: Engine, torrent: TorrentRef, family: Family, limit: number): number {
  const { arena } = engine.held
  const list = listOf(arena, torrent, family)
  const count = peerCount(arena, list)
  if (count === 0) return 0
  let removed = 0
  const end = Math.min(count, randomBelow(engine.random, count) + WINDOW_PEERS)
  for (let slot = end - 1; slot >= 0 && slot >= end - WINDOW_PEERS; slot--) {
    if (!isExpired(engine, detailAt(arena, list, family, slot as Slot), limit)) continue
    expirePeer(engine, torrent, family, slot as Slot)
    removed++
  }
  return removed
}

/** Whether the timeout of the peer with these details counts from a Unix second before `limit`. */
export function isExpired({ held, leases }: Engine, detail: number, limit: number): boolean {
  const seen = lastSeen(held.arena, detail)
  return seen < limit && hasTimedOut(leases, wordAt(held.arena, detail), seen, limit)
}

/** Removes a peer that timed out, on the other nodes too if this one owns it. */
export function expirePeer(engine: Engine, torrent: TorrentRef, family: Family, slot: Slot): void {
  const { held, ring, settings } = engine
  if (ring !== undefined && family !== Family.websocket) {
    reportExpiry(engine, ring, torrent, family, slot)
  }
  removeOwnedPeer(engine, torrent, family, slot)
  increment(held.arena, held.head + STRIPE_EXPIRED)
  if (settings.notePeers) markChanged(held, torrent)
}

/** Writes the delta of a peer that timed out, if this node owns it. */
function reportExpiry(
  { held: { arena } }: Engine,
  ring: DeltaRing,
  torrent: TorrentRef,
  family: IpFamily,
  slot: Slot,
): void {
  const detail = detailAt(arena, listOf(arena, torrent, family), family, slot)
  if (!isOwnLease(wordAt(arena, detail))) return
  const expired = removedPeer(arena, torrent, family, slot)
  writeExpiry(ring, expired, family, lastSeen(arena, detail))
}
