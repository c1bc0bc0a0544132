import {
  isInReach,
  MAY_BE_OUT_OF_REACH,
  Scope,
  scopeOfIpv4,
  scopeOfIpv6,
} from '../../protocol/ip.ts'
import { COMPACT_BYTES, Family, HASH_BYTES, PORT_BYTES } from '../../protocol/records.ts'
import { copyWords } from './copy-words.ts'
import { DETAIL_PEER_ID, SEGMENT_PEERS } from './layout.ts'
import { compactAt, detailAt } from './peer-list.ts'
import { isExpired, type Picks } from './pick.ts'
import type { Slot } from './references.ts'

/**
 * The client that a response is for. One object per thread. A response never contains the client's
 * own endpoint, an address that the client cannot reach, or a port of 0 or 1: a port of 0 is also
 * how the tables hide a peer (announce.ts, visiblePort).
 */
export type Recipient = {
  family: Family
  /** Memory that holds the address at `addressAt`. */
  view: DataView
  addressAt: number
  /** Byte-swapped, as read little-endian from a compact peer. */
  swappedPort: number
  scope: Scope
}

export function createRecipient(view: DataView): Recipient {
  return { family: Family.ipv4, view, addressAt: 0, swappedPort: 0, scope: Scope.global }
}

/** Fills in a recipient of IPv4 or IPv6. */
export function readRecipient(
  recipient: Recipient,
  family: Family,
  view: DataView,
  addressAt: number,
  port: number,
): void {
  recipient.family = family
  recipient.view = view
  recipient.addressAt = addressAt
  recipient.swappedPort = ((port & 0xff) << 8) | (port >>> 8)
  recipient.scope =
    family === Family.ipv4
      ? scopeOfIpv4(view.getUint8(addressAt), view.getUint8(addressAt + 1))
      : scopeOfIpv6(view, addressAt)
}

/**
 * Bits that are 0 in the swapped ports at which no peer can be reached: 0, and 1, which clients
 * behind proxies announce.
 */
const DEAD_PORT_MASK = 0xfeff

function isDeadPort(swappedPort: number): boolean {
  return (swappedPort & DEAD_PORT_MASK) === 0
}

/** Two compact IPv4 peers. */
const PAIR_BYTES = COMPACT_BYTES[Family.ipv4] * 2

/**
 * Copies the compact bytes of the picked IPv4 or IPv6 peers that are of use to the client and have
 * not expired, at most `most`, to `at`. Returns where they end.
 */
export function copyUseful(
  picks: Picks,
  recipient: Recipient,
  most: number,
  into: DataView,
  at: number,
): number {
  return picks.family === Family.ipv4 && picks.oldest === 0
    ? copyIpv4(picks, recipient, most, into, at)
    : copyEach(picks, recipient, most, into, at)
}

/**
 * Copies the picked IPv4 peers. Two peers are three words: a pair that does not need closer checks
 * is copied as fast as without any check.
 */
function copyIpv4(
  picks: Picks,
  recipient: Recipient,
  most: number,
  into: DataView,
  at: number,
): number {
  const { arena, list, family, runCount, runs } = picks
  const { view } = arena
  const unsure = MAY_BE_OUT_OF_REACH[recipient.scope]!
  const own =
    recipient.family === Family.ipv4 ? recipient.view.getInt32(recipient.addressAt, true) : 0
  const stop = at + most * COMPACT_BYTES[Family.ipv4]
  let end = at
  for (let run = 0; run < runCount; run++) {
    let slot = runs[run * 2]!
    let left = runs[run * 2 + 1]!
    while (left > 0) {
      const here = Math.min(left, SEGMENT_PEERS - (slot & (SEGMENT_PEERS - 1)))
      let from: number = compactAt(arena, list, family, slot as Slot)
      const last = from + here * COMPACT_BYTES[Family.ipv4]
      while (from < last) {
        if (from + PAIR_BYTES <= last && end + PAIR_BYTES <= stop) {
          const first = view.getInt32(from, true)
          const middle = view.getInt32(from + 4, true)
          const third = view.getInt32(from + 8, true)
          const second = (middle >>> 16) | (third << 16)
          if (
            (unsure[first & 0xff]! | unsure[second & 0xff]!) === 0 &&
            (middle & DEAD_PORT_MASK) !== 0 &&
            ((third >>> 16) & DEAD_PORT_MASK) !== 0 &&
            first !== own &&
            second !== own
          ) {
            into.setInt32(end, first, true)
            into.setInt32(end + 4, middle, true)
            into.setInt32(end + 8, third, true)
            end += PAIR_BYTES
            from += PAIR_BYTES
            continue
          }
        }
        if (isUsefulIpv4(view, from, recipient)) {
          if (end === stop) return end
          into.setInt32(end, view.getInt32(from))
          into.setUint16(end + 4, view.getUint16(from + 4))
          end += COMPACT_BYTES[Family.ipv4]
        }
        from += COMPACT_BYTES[Family.ipv4]
      }
      slot += here
      left -= here
    }
  }
  return end
}

/** Copies the picked peers of either family that have announced since `picks.oldest`. */
function copyEach(
  picks: Picks,
  recipient: Recipient,
  most: number,
  into: DataView,
  at: number,
): number {
  const { arena, list, family, runCount, runs } = picks
  const { view } = arena
  const isUseful = family === Family.ipv4 ? isUsefulIpv4 : isUsefulIpv6
  const width = COMPACT_BYTES[family]
  const stop = at + most * width
  let end = at
  for (let run = 0; run < runCount; run++) {
    const first = runs[run * 2]!
    const last = first + runs[run * 2 + 1]!
    for (let slot = first; slot < last && end < stop; slot++) {
      if (isExpired(picks, slot as Slot)) continue
      const from = compactAt(arena, list, family, slot as Slot)
      if (isUseful(view, from, recipient)) end += copyWords(into, end, view, from, width)
    }
  }
  return end
}

function isUsefulIpv6(view: DataView, at: number, recipient: Recipient): boolean {
  const port = view.getUint16(at + COMPACT_BYTES[Family.ipv6] - PORT_BYTES, true)
  if (isDeadPort(port)) return false
  const scope = scopeOfIpv6(view, at)
  if (scope !== Scope.global && !isInReach(scope, recipient.scope)) return false
  if (recipient.family !== Family.ipv6 || port !== recipient.swappedPort) return true
  for (let n = 0; n < 16; n += 4) {
    if (view.getInt32(at + n) !== recipient.view.getInt32(recipient.addressAt + n)) return true
  }
  return false
}

function isUsefulIpv4(view: DataView, at: number, recipient: Recipient): boolean {
  const port = view.getUint16(at + 4, true)
  if (isDeadPort(port)) return false
  if (!isInReach(scopeOfIpv4(view.getUint8(at), view.getUint8(at + 1)), recipient.scope))
    return false
  if (recipient.family !== Family.ipv4 || port !== recipient.swappedPort) return true
  return view.getInt32(at) !== recipient.view.getInt32(recipient.addressAt)
}

/**
 * Copies the ids of the peers that `copyUseful` copies, 20 bytes each, in the same order. Returns
 * where they end.
 */
export function copyUsefulIds(
  picks: Picks,
  recipient: Recipient,
  most: number,
  into: DataView,
  at: number,
): number {
  const { arena, list, family, runCount, runs } = picks
  const isUseful = family === Family.ipv4 ? isUsefulIpv4 : isUsefulIpv6
  const stop = at + most * HASH_BYTES
  let end = at
  for (let run = 0; run < runCount; run++) {
    const first = runs[run * 2]!
    const last = first + runs[run * 2 + 1]!
    for (let slot = first; slot < last && end < stop; slot++) {
      if (!isUseful(arena.view, compactAt(arena, list, family, slot as Slot), recipient)) continue
      if (isExpired(picks, slot as Slot)) continue
      const id = detailAt(arena, list, family, slot as Slot) + DETAIL_PEER_ID
      end += copyWords(into, end, arena.view, id, HASH_BYTES)
    }
  }
  return end
}
