import { bytesOf } from '../protocol/bytes.ts'
import { nodeOfWorker } from '../protocol/connection.ts'
import {
  ADDRESS,
  CONNECTION_WORKER,
  FAMILIES,
  Family,
  HASH_BYTES,
  INFO_HASH,
  PEER_ID,
} from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import { isDead } from './dead-workers.ts'
import { type DeltaRing, removedPeer, writeRemoval } from './delta-ring.ts'
import { eachTorrent } from './each-torrent.ts'
import type { Engine } from './engine.ts'
import { ownerOf } from './peer-owner.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { findPeer } from './tables/find-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { TORRENT_HASH } from './tables/layout.ts'
import {
  compactAt,
  detailAt,
  lastSeen,
  listOf,
  peerCount,
  torrentPeers,
} from './tables/peer-list.ts'
import { NO_SLOT, NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { holdStripe, holdStripeOf, passStripe, releaseStripe } from './tables/stripe.ts'
import { findTorrent, indexSize, markChanged, torrentAt } from './tables/torrents.ts'

/** Removal of WebSocket peers whose connection is closed. */

/** Removes the peer of a leave record. No key is checked: the connection is closed in any case. */
export function leave(engine: Engine, announce: Announce): void {
  const { held } = engine
  const { hash, nowSeconds, request, at, peer } = announce
  holdStripeOf(held, hash)
  const torrent = findTorrent(held, hash, request.view, at + INFO_HASH)
  if (torrent !== NO_TORRENT) {
    const slot = findPeer(held, listOf(held.arena, torrent, Family.websocket), peer)
    if (slot !== NO_SLOT) remove(engine, torrent, slot)
  }
  releaseStripe(held)
  if (engine.ring === undefined) return
  const { view } = request
  const removed = { view, address: at + ADDRESS, infoHash: at + INFO_HASH, peerId: at + PEER_ID }
  writeRemoval(engine.ring, removed, nowSeconds)
}

function remove(engine: Engine, torrent: TorrentRef, slot: Slot): void {
  removeOwnedPeer(engine, torrent, Family.websocket, slot)
  if (engine.settings.notePeers) markChanged(engine.held, torrent)
}

/** Peers removed while a stripe's lock is held. */
const DROPS_MAX = 64

/** Removes all peers of a torrent that is no longer listed. The torrent keeps its counts. */
export function dropPeers(engine: Engine, infoHash: Uint8Array): void {
  const { held } = engine
  const { view } = bytesOf(infoHash)
  const hash = hashInfoHash(held.hashKey, view, 0)
  for (let isDone = false; !isDone; ) {
    holdStripeOf(held, hash)
    const torrent = findTorrent(held, hash, view, 0)
    isDone = torrent === NO_TORRENT || dropSome(engine, torrent)
    passStripe(held)
  }
}

/** Peers that are checked while a stripe's lock is held. */
const CHECKS_MAX = 512

/** Removes the peers of these users from the torrents of a stripe. */
export function dropPeersOfUsers(engine: Engine, stripe: number, users: ReadonlySet<number>): void {
  const { held } = engine
  const large: Uint8Array[] = []
  eachTorrent(held, stripe, torrent => {
    const peers = torrentPeers(held.arena, torrent)
    if (peers <= DROPS_MAX) {
      for (const family of FAMILIES) dropOwned(engine, torrent, family, users, DROPS_MAX)
      return peers
    }
    const at = torrent + TORRENT_HASH
    large.push(held.arena.u8.slice(at, at + HASH_BYTES))
    return 1
  })
  for (const infoHash of large) dropOwnedOfLarge(engine, infoHash, users)
}

function dropOwnedOfLarge(engine: Engine, infoHash: Uint8Array, users: ReadonlySet<number>): void {
  const { held } = engine
  const { view } = bytesOf(infoHash)
  const hash = hashInfoHash(held.hashKey, view, 0)
  for (const family of FAMILIES) {
    for (let end = Number.POSITIVE_INFINITY; end > 0; ) {
      holdStripeOf(held, hash)
      const torrent = findTorrent(held, hash, view, 0)
      end = torrent === NO_TORRENT ? 0 : dropOwned(engine, torrent, family, users, end)
      passStripe(held)
    }
  }
}

/**
 * Removes peers of these users from a list, of the slots before `end`. Returns the `end` to
 * continue with, because it checks CHECKS_MAX peers and removes DROPS_MAX at most.
 */
function dropOwned(
  engine: Engine,
  torrent: TorrentRef,
  family: Family,
  users: ReadonlySet<number>,
  end: number,
): number {
  const { held } = engine
  const { arena } = held
  const list = listOf(arena, torrent, family)
  const first = Math.min(end, peerCount(arena, list)) - 1
  let slot = first
  let removed = 0
  // From the end: the peer that fills the slot of a removed one has been checked already.
  for (; slot >= 0 && slot > first - CHECKS_MAX && removed < DROPS_MAX; slot--) {
    const owner = ownerOf(arena, detailAt(arena, list, family, slot as Slot))
    if (!users.has(owner)) continue
    removeOwnedPeer(engine, torrent, family, slot as Slot)
    removed++
  }
  if (removed > 0 && engine.settings.notePeers) markChanged(held, torrent)
  return slot + 1
}

/** Removes at most DROPS_MAX peers; returns whether none is left. */
function dropSome(engine: Engine, torrent: TorrentRef): boolean {
  const { held } = engine
  let left = DROPS_MAX
  for (const family of FAMILIES) {
    const list = listOf(held.arena, torrent, family)
    for (let slot = peerCount(held.arena, list) - 1; slot >= 0 && left > 0; slot--, left--) {
      removeOwnedPeer(engine, torrent, family, slot as Slot)
    }
  }
  if (engine.settings.notePeers) markChanged(held, torrent)
  return torrentPeers(held.arena, torrent) === 0
}

/** Bounds of what is done while a stripe's lock is held: entries of the index, and removals. */
const SLICE_PLACES_MAX = 1024
const SLICE_REMOVALS_MAX = 64

/**
 * Progress of the removal of dead workers' peers: thread `first` of `stride` processes every
 * `stride`th stripe. Announces are answered between two slices. A slice begins behind an empty
 * entry of the index, because a removal moves no entry past an empty one. An index that has grown
 * is processed again from its start.
 */
export type LeaveCursor = {
  stripe: number
  readonly stride: number
  place: number
  size: number
}

export function createLeaveCursor(index: number, threads: number): LeaveCursor {
  return { stripe: index, stride: threads, place: 0, size: -1 }
}

/** Removes a bounded number of dead workers' peers. Returns true when the last stripe is done. */
export function leaveSlice(engine: Engine, cursor: LeaveCursor): boolean {
  if (cursor.stripe >= engine.stripeCount) return true
  holdStripe(engine.held, cursor.stripe)
  const done = leaveStripe(engine, cursor)
  releaseStripe(engine.held)
  if (done) {
    cursor.stripe += cursor.stride
    cursor.place = 0
    cursor.size = -1
  }
  return cursor.stripe >= engine.stripeCount
}

function leaveStripe(engine: Engine, cursor: LeaveCursor): boolean {
  const size = indexSize(engine.held)
  if (size !== cursor.size) {
    cursor.size = size
    cursor.place = 0
  }
  let left = SLICE_REMOVALS_MAX
  const end = cursor.place + SLICE_PLACES_MAX
  for (let place = cursor.place; place < size; place++) {
    const torrent = torrentAt(engine.held, place)
    if (torrent !== NO_TORRENT) {
      left -= leaveTorrent(engine, torrent, left)
      if (left === 0) return false
    } else if (place >= end) {
      cursor.place = place
      return false
    }
  }
  return true
}

/**
 * Removes at most `most` peers of dead workers from a torrent and returns how many. The whole list
 * is scanned, which takes some nanoseconds per peer.
 */
function leaveTorrent(engine: Engine, torrent: TorrentRef, most: number): number {
  const { arena } = engine.held
  let removed = 0
  const list = listOf(arena, torrent, Family.websocket)
  // From the end: the peer that fills the slot of a removed one has been checked already.
  for (let slot = peerCount(arena, list) - 1; slot >= 0 && removed < most; slot--) {
    const connection = compactAt(arena, list, Family.websocket, slot as Slot)
    const worker = arena.view.getUint32(connection + CONNECTION_WORKER, true)
    if (!isDead(engine.deadWorkers, worker)) continue
    // Each node removes the peers of another one by itself.
    if (engine.ring !== undefined && nodeOfWorker(worker) === 0) {
      writeDeadPeer(engine, engine.ring, torrent, slot as Slot)
    }
    remove(engine, torrent, slot as Slot)
    removed++
  }
  return removed
}

/** Writes the removal of a dead worker's peer for the other nodes. */
function writeDeadPeer(engine: Engine, ring: DeltaRing, torrent: TorrentRef, slot: Slot): void {
  const { arena } = engine.held
  const family = Family.websocket
  const seen = lastSeen(arena, detailAt(arena, listOf(arena, torrent, family), family, slot))
  writeRemoval(ring, removedPeer(arena, torrent, family, slot), seen)
}
