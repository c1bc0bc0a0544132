import type { Arena } from './tables/arena.ts'
import { DETAIL_USER, PEER_LEASED, USER_NUMBER_BITS } from './tables/layout.ts'

/** Number of the user who announced the peer whose details lie at `detail`; 0 for none. */
export function ownerOf(arena: Arena, detail: number): number {
  const at = (detail + DETAIL_USER) >> 1
  return ownerIn(arena.u16[at]! | (arena.u16[at + 1]! << 16))
}

/** The user's number in a word of DETAIL_USER. */
export function ownerIn(word: number): number {
  return (word & PEER_LEASED) !== 0 ? 0 : word & USER_NUMBER_BITS
}
