import { Family } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import type { HashKey } from './keyed-hash.ts'
import { LIST_CAPACITY, SCAN_PEERS_MAX, SEGMENT_PEERS } from './layout.ts'
import { blockAt, compactAt } from './peer-list.ts'
import type { ListRef, Slot } from './references.ts'
import type { HeldStripe } from './stripe.ts'

/**
 * Tags of a list: a byte of the hash of each peer's address, at the front of the block or segment,
 * in the order of the slots. A search compares four tags at once. It touches the peers whose tag
 * fits: those of the same address, and one in 256 of the others. Lists with a capacity of up to
 * SCAN_PEERS_MAX do not have tags.
 */

/** Whether a list has tags: not a short one. */
export function hasTags({ arena }: HeldStripe, list: ListRef): boolean {
  return arena.u32[(list + LIST_CAPACITY) >> 2]! > SCAN_PEERS_MAX
}

/** Offset of the tag of the peer in `slot`. */
function tagAt(arena: Arena, list: ListRef, slot: Slot): number {
  return blockAt(arena, list, slot) + (slot & (SEGMENT_PEERS - 1))
}

/**
 * Tag of the IPv4 address, the IPv6 /64 or the WebSocket connection at `addressAt`. Peers of one
 * address share a tag, by which `surveyAddress` finds them. A client with many peers in a torrent
 * makes a search in that list as slow as a scan of its block, and no slower.
 */
export function tagOf(key: HashKey, view: DataView, addressAt: number, family: Family): number {
  const more = family === Family.ipv4 ? 0 : view.getInt32(addressAt + 4, true)
  const hash = Math.imul(view.getInt32(addressAt, true) ^ key[0], 0x85ebca6b)
  return Math.imul(hash ^ (hash >>> 15) ^ more ^ key[1], 0xc2b2ae35) >>> 24
}

const EACH_BYTE = 0x0101_0101
const HIGH_BITS = 0x8080_8080

/**
 * The first slot from `from` to `end` - 1 whose tag is `tag`, or a slot close behind one of these;
 * -1 if there is none. The slots are those of one block or segment, whose tags begin at `tags`,
 * counted from its first. The caller compares the peer, and continues behind the slot returned.
 */
export function nextTag(
  { i32 }: Arena,
  tags: number,
  tag: number,
  from: number,
  end: number,
): number {
  const first = tags >> 2
  const pattern = Math.imul(tag, EACH_BYTE)
  const last = (end + 3) >> 2
  let skipped = -1 << ((from & 3) << 3)
  for (let word = from >> 2; word < last; word++) {
    // A byte that equals the tag becomes 0, and a byte that is 0 leaves its highest bit.
    const difference = i32[first + word]! ^ pattern
    const found = (difference - EACH_BYTE) & ~difference & HIGH_BITS & skipped
    if (found !== 0) {
      const slot = (word << 2) + ((31 - Math.clz32(found & -found)) >> 3)
      return slot < end ? slot : -1
    }
    skipped = -1
  }
  return -1
}

export function setTag({ arena }: HeldStripe, list: ListRef, slot: Slot, tag: number): void {
  arena.u8[tagAt(arena, list, slot)] = tag
}

export function copyTag({ arena }: HeldStripe, list: ListRef, from: Slot, to: Slot): void {
  arena.u8[tagAt(arena, list, to)] = arena.u8[tagAt(arena, list, from)]!
}

export function swapTags({ arena }: HeldStripe, list: ListRef, a: Slot, b: Slot): void {
  const { u8 } = arena
  const atA = tagAt(arena, list, a)
  const atB = tagAt(arena, list, b)
  const tag = u8[atA]!
  u8[atA] = u8[atB]!
  u8[atB] = tag
}

/** Writes the tags of the first `count` peers, of a block that did not have tags. */
export function writeTags(held: HeldStripe, list: ListRef, family: Family, count: number): void {
  const { arena, hashKey } = held
  for (let slot = 0 as Slot; slot < count; slot++) {
    const compact = compactAt(arena, list, family, slot)
    setTag(held, list, slot, tagOf(hashKey, arena.view, compact, family))
  }
}
