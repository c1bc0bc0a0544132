import type { Arena } from './arena.ts'
import { SEGMENT_PEERS } from './layout.ts'
import { compactAt, peerCount, seederCount } from './swarm.ts'

/** Newcomers of each kind that are looked at in a large list. */
const NEWCOMERS = SEGMENT_PEERS

/**
 * Whether a list has `bound` peers of the IPv4 address or the IPv6 /64 at `addressAt`. A list of up to twice NEWCOMERS peers is looked through. Of a larger one,
 * the seeders and leechers that came last are, which lie at the ends of their runs: an address then gets no more than `bound` of so many
 * newcomers, and the time is bounded.
 */
export function hasManyOf(
  arena: Arena,
  list: number,
  family: number,
  view: DataView,
  addressAt: number,
  bound: number,
): boolean {
  const count = peerCount(arena, list)
  if (count < bound) return false
  const seeders = seederCount(arena, list)
  const high = view.getInt32(addressAt, true)
  const low = family === 0 ? 0 : view.getInt32(addressAt + 4, true)
  let left = bound
  for (let end = count; end > 0; end = end > seeders ? seeders : 0) {
    const begin = end > seeders ? seeders : 0
    for (let slot = end - 1; slot >= begin && slot >= end - NEWCOMERS; slot--) {
      const at = compactAt(arena, list, family, slot)
      if (arena.view.getInt32(at, true) !== high) continue
      if (family !== 0 && arena.view.getInt32(at + 4, true) !== low) continue
      if (--left === 0) return true
    }
  }
  return false
}
