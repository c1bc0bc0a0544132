import { COMPACT_BYTES, Family, HASH_BYTES } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import { copyWords } from './copy-words.ts'
import { hasPeerId } from './find-peer.ts'
import { DETAIL_PEER_ID } from './layout.ts'
import { hasTimedOut, type Leases, wordAt } from './lease.ts'
import { compactAt, detailAt, lastSeen, peerCount, seederCount } from './peer-list.ts'
import { type Random, randomBelow } from './random.ts'
import { type ListRef, NO_LIST, type Slot } from './references.ts'

/**
 * The peers of one list that a response contains: runs of neighbouring slots from random offsets,
 * so that a response is a few copies whatever its size, and every peer of a list is handed out
 * equally often. One object per thread and family, reused for each response.
 */
export type Picks = {
  readonly random: Random
  readonly leases: Leases
  arena: Arena
  list: ListRef
  family: Family
  /** Unix seconds: peers that timed out before it are picked, but not copied; 0 for none. */
  oldest: number
  /** First slot and length of each run. */
  readonly runs: Int32Array
  runCount: number
}

/** Two rings of at most three runs, and one more for a run that is split. */
const RUNS_MAX = 8

/** Maximum share of seeders in a leecher's response, in quarters, if there are enough leechers. */
const SEEDER_QUARTERS = 3

export function createPicks(random: Random, arena: Arena, leases: Leases): Picks {
  const runs = new Int32Array(RUNS_MAX * 2)
  const list = NO_LIST
  return { random, leases, arena, list, family: Family.ipv4, oldest: 0, runs, runCount: 0 }
}

/** Points `picks` at a list, with no peer picked. The stripe must stay held while it is used. */
export function openPicks(picks: Picks, arena: Arena, list: ListRef, family: Family): void {
  picks.arena = arena
  picks.list = list
  picks.family = family
  picks.runCount = 0
}

/**
 * Picks at most `wanted` peers for the peer in slot `self` (NO_SLOT if it is not in this list) and
 * returns how many. A seeder gets leechers only; a leecher seeders first, then leechers.
 */
export function pickPeers(picks: Picks, wanted: number, self: Slot, forSeeder: boolean): number {
  const count = peerCount(picks.arena, picks.list)
  const seeders = seederCount(picks.arena, picks.list)
  const leechers = count - seeders
  const others = self >= seeders ? leechers - 1 : leechers
  if (forSeeder) return pickRing(picks, seeders, leechers, self, Math.min(wanted, others))
  const share = Math.max(wanted - others, Math.ceil((wanted * SEEDER_QUARTERS) / 4))
  const fromSeeders = pickRing(picks, 0, seeders, self, Math.min(seeders, share))
  const fromLeechers = Math.min(others, wanted - fromSeeders)
  return fromSeeders + pickRing(picks, seeders, leechers, self, fromLeechers)
}

/**
 * Adds runs for `wanted` peers of the ring of `length` slots from `first`, without `self` if the
 * ring contains it. The ring begins behind `self`, so that leaving it out splits no run.
 */
function pickRing(
  picks: Picks,
  first: number,
  length: number,
  self: number,
  wanted: number,
): number {
  if (wanted <= 0) return 0
  const inside = self >= first && self < first + length
  const origin = inside ? self + 1 - first : 0
  const ring = inside ? length - 1 : length
  const start = wanted === ring ? 0 : randomBelow(picks.random, ring)
  const head = Math.min(wanted, ring - start)
  addRun(picks, first, length, origin + start, head)
  addRun(picks, first, length, origin, wanted - head)
  return wanted
}

/** Adds `count` slots of the ring from position `from`, in two runs where it passes the end. */
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

/**
 * Drops the first picked peer that has the 20-byte id at `idAt`. Returns how many peers were
 * dropped.
 */
export function dropPeerId(picks: Picks, view: DataView, idAt: number): number {
  const { arena, list, family, runCount, runs } = picks
  for (let run = 0; run < runCount; run++) {
    const first = runs[run * 2]!
    const count = runs[run * 2 + 1]!
    for (let slot = first; slot < first + count; slot++) {
      if (!hasPeerId(arena, detailAt(arena, list, family, slot as Slot), view, idAt)) continue
      runs[run * 2 + 1] = slot - first
      if (slot + 1 < first + count) pushRun(picks, slot + 1, first + count - slot - 1)
      return 1
    }
  }
  return 0
}

/** Whether the picked peer has timed out: its timeout counts from a time before `picks.oldest`. */
export function isExpired({ arena, leases, list, family, oldest }: Picks, slot: Slot): boolean {
  if (oldest === 0) return false
  const detail = detailAt(arena, list, family, slot)
  const seen = lastSeen(arena, detail)
  return seen < oldest && hasTimedOut(leases, wordAt(arena, detail), seen, oldest)
}

/**
 * Copies the compact bytes of the picked peers that have not expired to `at`. Returns where they
 * end.
 */
export function copyCompact(picks: Picks, into: DataView, at: number): number {
  const { arena, list, family, runCount, runs } = picks
  const width = COMPACT_BYTES[family]
  let end = at
  for (let run = 0; run < runCount; run++) {
    const first = runs[run * 2]!
    const last = first + runs[run * 2 + 1]!
    for (let slot = first; slot < last; slot++) {
      if (isExpired(picks, slot as Slot)) continue
      const from = compactAt(arena, list, family, slot as Slot)
      end += copyWords(into, end, arena.view, from, width)
    }
  }
  return end
}

/** Copies the 20-byte ids of the same peers in the same order, and returns where they end. */
export function copyPeerIds(picks: Picks, into: DataView, at: number): number {
  const { arena, list, family, runCount, runs } = picks
  let end = at
  for (let run = 0; run < runCount; run++) {
    const first = runs[run * 2]!
    const count = runs[run * 2 + 1]!
    for (let slot = first; slot < first + count; slot++) {
      if (isExpired(picks, slot as Slot)) continue
      const id = detailAt(arena, list, family, slot as Slot) + DETAIL_PEER_ID
      end += copyWords(into, end, arena.view, id, HASH_BYTES)
    }
  }
  return end
}
