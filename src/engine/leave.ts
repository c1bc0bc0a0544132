import type { Bytes } from '../protocol/bytes.ts'
import { ADDRESS, INFO_HASH, PEER_ID } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { type Arena, stripeHead } from './tables/arena.ts'
import { findPeer } from './tables/find-peer.ts'
import { isGone } from './tables/gone-workers.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { WEBSOCKET_FAMILY } from './tables/layout.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { compactAt, listOf, peerCount } from './tables/peer-list.ts'
import { removePeer } from './tables/swarm.ts'
import { findTorrent, indexSize, markChanged, stripeOf, torrentAt } from './tables/torrents.ts'

/** What becomes of WebSocket peers whose connection is gone. */

/** Takes out the peer that the leave record at `at` names. Nobody's key is asked for: the connection is gone, whoever may announce. */
export function leave(engine: Engine, request: Bytes, at: number): void {
  const { view } = request
  const hash = hashInfoHash(engine.hashKey, view, at + INFO_HASH)
  const number = stripeOf(hash, engine.stripeCount)
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  takeLock(arena, stripe)
  const torrent = findTorrent(arena, stripe, hash, view, at + INFO_HASH)
  if (torrent !== 0) {
    const family = WEBSOCKET_FAMILY
    const list = listOf(arena, torrent, family)
    const slot = findPeer(arena, list, family, view, at + PEER_ID, at + ADDRESS, engine.hashKey)
    if (slot !== -1) remove(engine, arena, stripe, torrent, slot)
  }
  releaseLock(arena, stripe)
}

function remove(engine: Engine, arena: Arena, stripe: number, torrent: number, slot: number): void {
  removePeer(arena, stripe, torrent, WEBSOCKET_FAMILY, slot, engine.hashKey)
  if (engine.settings.notePeers) markChanged(arena, stripe, torrent)
}

/** Places of the index looked at, and peers taken out, while a stripe's lock is held. */
const SLICE_PLACES_MAX = 1024
const SLICE_REMOVALS_MAX = 256

/**
 * Where taking out the peers of gone workers is: thread `first` of `stride` goes through every `stride`th stripe. Between two slices announces
 * go on. A slice begins behind an empty place of the index, because what a removal moves up never crosses one; an index that grew is walked
 * again from its start.
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

/** Takes out a bounded number of the WebSocket peers of gone workers. Returns true when the cursor's last stripe is done. */
export function leaveSlice(engine: Engine, cursor: LeaveCursor): boolean {
  if (cursor.stripe >= engine.stripeCount) return true
  const arena = engine.arenas[cursor.stripe % engine.arenas.length] as Arena
  const stripe = stripeHead(cursor.stripe, engine.arenas.length)
  takeLock(arena, stripe)
  const done = leaveStripe(engine, arena, stripe, cursor)
  releaseLock(arena, stripe)
  if (done) {
    cursor.stripe += cursor.stride
    cursor.place = 0
    cursor.size = -1
  }
  return cursor.stripe >= engine.stripeCount
}

function leaveStripe(engine: Engine, arena: Arena, stripe: number, cursor: LeaveCursor): boolean {
  const size = indexSize(arena, stripe)
  if (size !== cursor.size) {
    cursor.size = size
    cursor.place = 0
  }
  let left = SLICE_REMOVALS_MAX
  const end = cursor.place + SLICE_PLACES_MAX
  for (let place = cursor.place; place < size; place++) {
    const torrent = torrentAt(arena, stripe, place)
    if (torrent !== 0) {
      left -= leaveTorrent(engine, arena, stripe, torrent, left)
      if (left === 0) return false
    } else if (place >= end) {
      cursor.place = place
      return false
    }
  }
  return true
}

/** Takes at most `most` peers of gone workers out of a torrent and returns how many. A list is looked at whole, some nanoseconds a peer. */
function leaveTorrent(
  engine: Engine,
  arena: Arena,
  stripe: number,
  torrent: number,
  most: number,
): number {
  let removed = 0
  const list = listOf(arena, torrent, WEBSOCKET_FAMILY)
  // From the end: what fills a removed peer's slot has been looked at.
  for (let slot = peerCount(arena, list) - 1; slot >= 0 && removed < most; slot--) {
    const connection = compactAt(arena, list, WEBSOCKET_FAMILY, slot)
    if (!isGone(engine.goneWorkers, arena.view.getUint32(connection, true))) continue
    remove(engine, arena, stripe, torrent, slot)
    removed++
  }
  return removed
}
