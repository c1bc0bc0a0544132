import type { Arena } from './arena.ts'
import { hasPeerId } from './find-peer.ts'
import { DETAIL_PEER_ID, PEER_WIDTH, SEGMENT_PEERS } from './layout.ts'
import { compactAt, detailAt, peerCount, seederCount } from './peer-list.ts'
import { type Random, randomBelow } from './random.ts'

/**
 * Which peers an answer names: runs of neighbouring slots from random offsets, so that an answer is a few copies whatever its size, and
 * every peer of a list is handed out equally often. Used again for each answer: one per thread.
 */
export type Picks = {
  /** First slot and length of each run. */
  readonly runs: Int32Array
  runCount: number
}

/** Two rings of at most three runs, and one more where a run is split. */
const RUNS_MAX = 8

/** A leecher's answer is seeders up to this share, in quarters, where there are leechers enough for the rest. */
const SEEDER_QUARTERS = 3

export function createPicks(): Picks {
  return { runs: new Int32Array(RUNS_MAX * 2), runCount: 0 }
}

/**
 * Picks at most `wanted` peers of a list for the peer in `self` (-1 if it is not in this list) and returns how many. A seeder is given leechers
 * only; a leecher seeders first, then leechers.
 */
export function pickPeers(
  picks: Picks,
  random: Random,
  arena: Arena,
  list: number,
  wanted: number,
  self: number,
  forSeeder: boolean,
): number {
  picks.runCount = 0
  const count = peerCount(arena, list)
  const seeders = seederCount(arena, list)
  const leechers = count - seeders
  const others = self >= seeders ? leechers - 1 : leechers
  if (forSeeder) return pickRing(picks, random, seeders, leechers, self, Math.min(wanted, others))
  const share = Math.max(wanted - others, Math.ceil((wanted * SEEDER_QUARTERS) / 4))
  const fromSeeders = pickRing(picks, random, 0, seeders, self, Math.min(seeders, share))
  return (
    fromSeeders +
    pickRing(picks, random, seeders, leechers, self, Math.min(others, wanted - fromSeeders))
  )
}

/**
 * Adds runs for `wanted` peers of the ring of `length` slots from `first`, leaving out `self` if it is in there.
 * The ring begins behind `self`, so that leaving it out splits nothing.
 */
function pickRing(
  picks: Picks,
  random: Random,
  first: number,
  length: number,
  self: number,
  wanted: number,
): number {
  if (wanted <= 0) return 0
  const inside = self >= first && self < first + length
  const origin = inside ? self + 1 - first : 0
  const ring = inside ? length - 1 : length
  const start = wanted === ring ? 0 : randomBelow(random, ring)
  const head = Math.min(wanted, ring - start)
  addRun(picks, first, length, origin + start, head)
  addRun(picks, first, length, origin, wanted - head)
  return wanted
}

/** Adds `count` slots of the ring from its place `from`, in two runs where it passes the end. */
function addRun(picks: Picks, first: number, length: number, from: number, count: number): void {
  if (count === 0) return
  const start = from >= length ? from - length : from
  const head = Math.min(count, length - start)
  pushRun(picks, first + start, head)
  if (head < count) pushRun(picks, first, count - head)
}

function pushRun(picks: Picks, slot: number, count: number): void {
  picks.runs[picks.runCount * 2] = slot
  picks.runs[picks.runCount * 2 + 1] = count
  picks.runCount++
}

/** Takes the first picked peer with the 20-byte id at `idAt` out of the picks, and returns how many peers that were. */
export function dropPeerId(
  picks: Picks,
  arena: Arena,
  list: number,
  family: number,
  view: DataView,
  idAt: number,
): number {
  const runCount = picks.runCount
  for (let run = 0; run < runCount; run++) {
    const first = picks.runs[run * 2] as number
    const count = picks.runs[run * 2 + 1] as number
    for (let slot = first; slot < first + count; slot++) {
      if (!hasPeerId(arena, list, family, slot, view, idAt)) continue
      picks.runs[run * 2 + 1] = slot - first
      if (slot + 1 < first + count) pushRun(picks, slot + 1, first + count - slot - 1)
      return 1
    }
  }
  return 0
}

/** Copies the picked peers' compact bytes to `at` and returns where they end. */
export function copyCompact(
  picks: Picks,
  arena: Arena,
  list: number,
  family: number,
  into: DataView,
  at: number,
): number {
  const width = PEER_WIDTH[family] as number
  let end = at
  for (let run = 0; run < picks.runCount; run++) {
    let slot = picks.runs[run * 2] as number
    let left = picks.runs[run * 2 + 1] as number
    while (left > 0) {
      const here = Math.min(left, SEGMENT_PEERS - (slot & (SEGMENT_PEERS - 1)))
      copyOut(arena.view, compactAt(arena, list, family, slot), here * width, into, end)
      end += here * width
      slot += here
      left -= here
    }
  }
  return end
}

/** A loop over words, because a view for `set` and its call cost more than the copy: 0.5 µs for 50 peers against 0.1. */
function copyOut(from: DataView, at: number, bytes: number, into: DataView, intoAt: number): void {
  const words = bytes & ~3
  for (let n = 0; n < words; n += 4) into.setInt32(intoAt + n, from.getInt32(at + n, true), true)
  if (words < bytes) into.setInt16(intoAt + words, from.getInt16(at + words, true), true)
}

/** Copies the picked peers' ids, 20 bytes each, in the same order, and returns where they end. */
export function copyPeerIds(
  picks: Picks,
  arena: Arena,
  list: number,
  family: number,
  into: DataView,
  at: number,
): number {
  let end = at
  for (let run = 0; run < picks.runCount; run++) {
    const first = picks.runs[run * 2] as number
    const count = picks.runs[run * 2 + 1] as number
    for (let slot = first; slot < first + count; slot++) {
      const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
      copyOut(arena.view, id, 20, into, end)
      end += 20
    }
  }
  return end
}
