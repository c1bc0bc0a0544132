import type { Engine } from './engine.ts'
import { type Arena, increment, stripeHead } from './tables/arena.ts'
import { FAMILY_COUNT, STRIPE_EXPIRED } from './tables/layout.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { detailAt, lastSeen, listOf, peerCount, torrentPeers } from './tables/peer-list.ts'
import { removePeer } from './tables/swarm.ts'
import {
  indexSize,
  markChanged,
  removeTorrentAt,
  torrentActive,
  torrentAt,
  torrentFlags,
} from './tables/torrents.ts'

/** Peers and empty places looked at while a stripe's lock is held: some ten microseconds. */
const SLICE_STEPS_MAX = 1024

/**
 * Where a sweep is: it goes through the stripes `stripe`, `stripe + stride`, …, through each one's torrents, and through each list from its
 * end, so that what fills a removed peer's slot has been looked at. Between two slices announces go on: a peer that they move past the
 * cursor is found by the next pass.
 */
export type SweepCursor = {
  stripe: number
  readonly first: number
  readonly stride: number
  place: number
  torrent: number
  family: number
  /** Slot to look at next, plus one; 0 when the list is done. */
  slot: number
}

/** Thread `index` of `threads` sweeps every `threads`th stripe. */
export function createSweepCursor(index: number, threads: number): SweepCursor {
  return { stripe: index, first: index, stride: threads, place: 0, torrent: 0, family: 0, slot: 0 }
}

/** Slices that one pass over the cursor's stripes takes at least: one for each stripe. */
export function sweepSlicesPerPass(engine: Engine, cursor: SweepCursor): number {
  return Math.ceil((engine.stripeCount - cursor.first) / cursor.stride)
}

/**
 * Sweeps a bounded piece of one stripe: takes out peers silent for longer than the timeout, and torrents that nobody announced to since.
 * Returns true when the stripe is done (the cursor then stands on the next one).
 */
export function sweepSlice(engine: Engine, cursor: SweepCursor, nowSeconds: number): boolean {
  const arena = engine.arenas[cursor.stripe % engine.arenas.length] as Arena
  const stripe = stripeHead(cursor.stripe, engine.arenas.length)
  const limit = nowSeconds - engine.settings.peersTimeout
  takeLock(arena, stripe)
  const done = sweepStripe(engine, arena, stripe, cursor, limit)
  releaseLock(arena, stripe)
  if (!done) return false
  cursor.place = 0
  cursor.torrent = 0
  cursor.stripe += cursor.stride
  if (cursor.stripe >= engine.stripeCount) cursor.stripe = cursor.first
  return true
}

function sweepStripe(
  engine: Engine,
  arena: Arena,
  stripe: number,
  cursor: SweepCursor,
  limit: number,
): boolean {
  let steps = 0
  while (cursor.place < indexSize(arena, stripe)) {
    if (++steps > SLICE_STEPS_MAX) return false
    const torrent = torrentAt(arena, stripe, cursor.place)
    if (torrent === 0) {
      cursor.place++
      continue
    }
    if (cursor.torrent !== torrent) enterTorrent(arena, cursor, torrent)
    steps += sweepTorrent(engine, arena, stripe, cursor, limit, SLICE_STEPS_MAX - steps)
    if (cursor.slot > 0 || cursor.family < FAMILY_COUNT - 1) continue
    cursor.torrent = 0
    if (isForgotten(arena, torrent, limit)) {
      removeTorrentAt(arena, stripe, cursor.place, engine.hashKey)
    } else cursor.place++
  }
  return true
}

/** Nobody announced to it for the timeout, and nothing about it is kept. */
function isForgotten(arena: Arena, torrent: number, limit: number): boolean {
  return (
    torrentPeers(arena, torrent) === 0 &&
    torrentActive(arena, torrent) < limit &&
    torrentFlags(arena, torrent) === 0
  )
}

function enterTorrent(arena: Arena, cursor: SweepCursor, torrent: number): void {
  cursor.torrent = torrent
  cursor.family = 0
  cursor.slot = peerCount(arena, listOf(arena, torrent, 0))
}

/** Sweeps at most `most` peers of the cursor's torrent and returns how many. */
function sweepTorrent(
  engine: Engine,
  arena: Arena,
  stripe: number,
  cursor: SweepCursor,
  limit: number,
  most: number,
): number {
  let steps = 0
  for (;;) {
    const { family, torrent } = cursor
    const list = listOf(arena, torrent, family)
    cursor.slot = Math.min(cursor.slot, peerCount(arena, list))
    while (cursor.slot > 0) {
      if (steps >= most) return steps
      steps++
      const slot = --cursor.slot
      if (lastSeen(arena, detailAt(arena, list, family, slot)) >= limit) continue
      removePeer(arena, stripe, torrent, family, slot, engine.hashKey)
      increment(arena, stripe + STRIPE_EXPIRED)
      if (engine.settings.notePeers) markChanged(arena, stripe, torrent)
    }
    if (family === FAMILY_COUNT - 1) return steps
    cursor.family = family + 1
    cursor.slot = peerCount(arena, listOf(arena, torrent, cursor.family))
  }
}
