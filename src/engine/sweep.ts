import { Failure } from '../protocol/failures.ts'
import { FAMILIES, Family } from '../protocol/records.ts'
import { checkInfoHash } from './access.ts'
import type { Engine } from './engine.ts'
import { expirePeer, isExpired } from './expire.ts'
import type { Arena } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { TORRENT_HASH, TorrentFlag } from './tables/layout.ts'
import { detailAt, listOf, peerCount, torrentPeers } from './tables/peer-list.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { holdStripe, releaseStripe } from './tables/stripe.ts'
import {
  indexSize,
  removeTorrentAt,
  torrentActive,
  torrentAt,
  torrentFlags,
} from './tables/torrents.ts'

/** Peers and empty entries checked while a stripe's lock is held: some ten microseconds. */
const SLICE_STEPS_MAX = 512
/** Further steps for a peer that is removed, which takes much longer than to check it. */
const REMOVAL_STEPS = 16

/**
 * Progress of a sweep through the stripes `stripe`, `stripe + stride` and so on, through the
 * torrents of each, and through each list from its end, so that the peer that fills the slot of a
 * removed one has been checked already. Announces are answered between two slices; the next pass
 * finds a peer that they move past the cursor.
 */
export type SweepCursor = {
  stripe: number
  readonly first: number
  readonly stride: number
  place: number
  torrent: TorrentRef
  family: Family
  /** The slot to check next, plus one; 0 when the list is done. */
  slot: number
}

/** Thread `index` of `threads` sweeps every `threads`th stripe. */
export function createSweepCursor(index: number, threads: number): SweepCursor {
  return {
    stripe: index,
    first: index,
    stride: threads,
    place: 0,
    torrent: NO_TORRENT,
    family: Family.ipv4,
    slot: 0,
  }
}

/** The minimum number of slices of a pass over the cursor's stripes: one per stripe. */
export function sweepSlicesPerPass(engine: Engine, cursor: SweepCursor): number {
  return Math.ceil((engine.stripeCount - cursor.first) / cursor.stride)
}

/**
 * Sweeps a bounded part of one stripe: removes peers that have timed out, and torrents without
 * peers that were not announced since. Returns true when the stripe is complete; the cursor is then
 * at the next one.
 */
export function sweepSlice(engine: Engine, cursor: SweepCursor, nowSeconds: number): boolean {
  holdStripe(engine.held, cursor.stripe)
  const done = sweepStripe(engine, cursor, nowSeconds - engine.settings.peersTimeout)
  releaseStripe(engine.held)
  if (!done) return false
  cursor.place = 0
  cursor.torrent = NO_TORRENT
  cursor.stripe += cursor.stride
  if (cursor.stripe >= engine.stripeCount) cursor.stripe = cursor.first
  return true
}

function sweepStripe(engine: Engine, cursor: SweepCursor, limit: number): boolean {
  const { held } = engine
  let steps = 0
  while (cursor.place < indexSize(held)) {
    if (++steps > SLICE_STEPS_MAX) return false
    const torrent = torrentAt(held, cursor.place)
    if (torrent === NO_TORRENT) {
      cursor.place++
      continue
    }
    if (cursor.torrent !== torrent) enterTorrent(held.arena, cursor, torrent)
    // Peers of a delisted torrent are removed regardless of their last announce.
    const torrentLimit = isListed(engine, torrent) ? limit : Number.POSITIVE_INFINITY
    steps += sweepTorrent(engine, cursor, torrentLimit, SLICE_STEPS_MAX - steps)
    if (cursor.slot > 0 || cursor.family !== LAST_FAMILY) continue
    cursor.torrent = NO_TORRENT
    if (isForgotten(held.arena, torrent, limit)) removeTorrentAt(held, cursor.place)
    else cursor.place++
  }
  return true
}

function isListed({ access, held }: Engine, torrent: TorrentRef): boolean {
  if (!access.rules.whitelist && !access.rules.blacklist) return true
  const { view } = held.arena
  const hash = hashInfoHash(held.hashKey, view, torrent + TORRENT_HASH)
  return checkInfoHash(access, hash, view, torrent + TORRENT_HASH) === Failure.none
}

/**
 * Whether the torrent is empty, has not been announced within the timeout, and is not stored in the
 * database.
 */
function isForgotten(arena: Arena, torrent: TorrentRef, limit: number): boolean {
  return (
    torrentPeers(arena, torrent) === 0 &&
    torrentActive(arena, torrent) < limit &&
    (torrentFlags(arena, torrent) & TorrentFlag.kept) === 0
  )
}

const LAST_FAMILY = FAMILIES[FAMILIES.length - 1]

function enterTorrent(arena: Arena, cursor: SweepCursor, torrent: TorrentRef): void {
  cursor.torrent = torrent
  cursor.family = Family.ipv4
  cursor.slot = peerCount(arena, listOf(arena, torrent, Family.ipv4))
}

/** Sweeps at most `most` peers of the cursor's torrent and returns how many. */
function sweepTorrent(engine: Engine, cursor: SweepCursor, limit: number, most: number): number {
  const { held } = engine
  const { arena } = held
  let steps = 0
  for (;;) {
    const { family, torrent } = cursor
    const list = listOf(arena, torrent, family)
    cursor.slot = Math.min(cursor.slot, peerCount(arena, list))
    while (cursor.slot > 0) {
      if (steps >= most) return steps
      steps++
      const slot = --cursor.slot as Slot
      if (!isExpired(engine, detailAt(arena, list, family, slot), limit)) continue
      expirePeer(engine, torrent, family, slot)
      steps += REMOVAL_STEPS
    }
    if (family === LAST_FAMILY) return steps
    cursor.family = (family + 1) as Family
    cursor.slot = peerCount(arena, listOf(arena, torrent, cursor.family))
  }
}
