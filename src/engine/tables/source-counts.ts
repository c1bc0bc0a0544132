import { Family } from '../../protocol/records.ts'
import type { HashKey } from './keyed-hash.ts'

/**
 * Numbers of peers by their source, in all swarms together: an IPv4 address, an IPv6 /64, and an
 * IPv6 /48. WebSocket peers are not counted; their sockets have bounds of their own. Two rows of
 * counters, which a source shares with others by two keyed hashes. The smaller of its two counters
 * is at least the number of its peers, and close to it unless both are shared with a large source.
 */
const ROW_ENTRIES = 2 ** 17
const ROW_SHIFT = 32 - 17

export type SourceCounts = Int32Array<SharedArrayBuffer>

/** 1 MiB of address space; only used pages take memory. */
export function createSourceCounts(): SharedArrayBuffer {
  return new SharedArrayBuffer(2 * ROW_ENTRIES * 4)
}

/** Entries of the source in both rows. Valid until the next call of `locate`. */
let first = 0
let second = 0

function locate(key: HashKey, head: number, more: number): void {
  const low = Math.imul(head ^ key[0], 0x85ebca6b) ^ Math.imul(more ^ key[1], 0xc2b2ae35)
  const high = Math.imul(head ^ key[1], 0x9e3779b1) ^ Math.imul(more ^ key[0], 0x27d4eb2f)
  first = Math.imul(low ^ (low >>> 15), 0x2c1b3c6d) >>> ROW_SHIFT
  second = ROW_ENTRIES + (Math.imul(high ^ (high >>> 15), 0x297a2d39) >>> ROW_SHIFT)
}

/** The tables that count sources. */
type Counting = { readonly sources: SourceCounts; readonly hashKey: HashKey }

/** Adds `change` to the counts of the source of a peer, whose address is at `at`. */
export function countSource(
  { sources: counts, hashKey: key }: Counting,
  family: Family,
  view: DataView,
  at: number,
  change: 1 | -1,
): void {
  if (family === Family.websocket) return
  const head = view.getInt32(at, true)
  locate(key, head, family === Family.ipv4 ? 0 : view.getInt32(at + 4, true))
  Atomics.add(counts, first, change)
  Atomics.add(counts, second, change)
  if (family === Family.ipv4) return
  // The /48 has a bit more than the largest two bytes, so that it is not one of its own /64s.
  locate(key, head, view.getUint16(at + 4, true) | 0x1_0000)
  Atomics.add(counts, first, change)
  Atomics.add(counts, second, change)
}

/** Peers of an IPv6 /48 in relation to those of one /64. */
const WIDE_SHARES = 4

/** Whether the source of the address at `at` has `bound` peers, or its /48 four times as many. */
export function isSourceFull(
  { sources: counts, hashKey: key }: Counting,
  family: Family,
  view: DataView,
  at: number,
  bound: number,
): boolean {
  if (family === Family.websocket) return false
  const head = view.getInt32(at, true)
  locate(key, head, family === Family.ipv4 ? 0 : view.getInt32(at + 4, true))
  if (Math.min(counts[first]!, counts[second]!) >= bound) return true
  if (family === Family.ipv4) return false
  locate(key, head, view.getUint16(at + 4, true) | 0x1_0000)
  return Math.min(counts[first]!, counts[second]!) >= bound * WIDE_SHARES
}
