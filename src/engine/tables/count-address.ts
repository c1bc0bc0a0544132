import type { Arena } from './arena.ts'
import { PEER_ADDRESS, SEGMENT_PEERS, WEBSOCKET_FAMILY } from './layout.ts'
import { compactAt, peerCount, seederCount } from './peer-list.ts'

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
  // A WebSocket peer's address lies behind its connection, with IPv4 mapped: there the last word counts, and of IPv6 the first two.
  const address = family === WEBSOCKET_FAMILY ? PEER_ADDRESS[WEBSOCKET_FAMILY] : 0
  const first = view.getInt32(addressAt, true)
  const isMapped = family !== 0 && first === 0 && view.getInt32(addressAt + 4, true) === 0
  const other = family === 0 ? 0 : isMapped ? 12 : 4
  const second = view.getInt32(addressAt + other, true)
  let left = bound
  for (let end = count; end > 0; end = end > seeders ? seeders : 0) {
    const begin = end > seeders ? seeders : 0
    for (let slot = end - 1; slot >= begin && slot >= end - NEWCOMERS; slot--) {
      const at = compactAt(arena, list, family, slot) + address
      if (arena.view.getInt32(at + other, true) !== second) continue
      if (arena.view.getInt32(at, true) !== first) continue
      if (--left === 0) return true
    }
  }
  return false
}
