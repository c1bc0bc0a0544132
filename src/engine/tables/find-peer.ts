import type { Arena } from './arena.ts'
import { type HashKey, hashPeer } from './keyed-hash.ts'
import { DETAIL_BYTES, DETAIL_PEER_ID, PEER_ADDRESS, PEER_WIDTH } from './layout.ts'
import { indexFind } from './peer-index.ts'
import { compactAt, detailAt, peerCount, peerIndexOf, seederCount } from './peer-list.ts'

function samePeerId(arena: Arena, at: number, view: DataView, idAt: number): boolean {
  for (let n = 0; n < 20; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(idAt + n, true)) return false
  }
  return true
}

function sameAddress(
  arena: Arena,
  at: number,
  view: DataView,
  addressAt: number,
  bytes: number,
): boolean {
  for (let n = 0; n < bytes; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(addressAt + n, true)) return false
  }
  return true
}

/** Bytes of a peer id before these name the client and its version, and are the same for many (BEP 20). */
const ID_RANDOM = 12

/**
 * Slot of the peer with this id and address, or -1. Both count: a client that changes port stays one peer, and nobody can touch another's
 * entry by claiming its id from elsewhere. `leecher` says which half of a small list is looked through first.
 */
export function findPeer(
  arena: Arena,
  list: number,
  family: number,
  view: DataView,
  idAt: number,
  addressAt: number,
  key: HashKey,
  leecher = false,
): number {
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const hash = hashPeer(key, view, idAt, view, addressAt, PEER_ADDRESS[family]!)
    let slot = indexFind(arena, index, hash, -1)
    while (slot !== -1 && !isPeer(arena, list, family, slot, view, idAt, addressAt)) {
      slot = indexFind(arena, index, hash, slot)
    }
    return slot
  }
  const first = leecher ? seederCount(arena, list) : 0
  const slot = scanPeers(arena, list, family, first, peerCount(arena, list), view, idAt, addressAt)
  if (slot !== -1 || first === 0) return slot
  return scanPeers(arena, list, family, 0, first, view, idAt, addressAt)
}

/** Slot from `first` to `end` - 1 of a small list in which the peer is, or -1. */
function scanPeers(
  arena: Arena,
  list: number,
  family: number,
  first: number,
  end: number,
  view: DataView,
  idAt: number,
  addressAt: number,
): number {
  const width = PEER_WIDTH[family]!
  // The end of an address differs more often than its beginning; where many share one, the random part of their ids tells them apart.
  const lastWord = PEER_ADDRESS[family]! - 4
  const sought = view.getInt32(addressAt + lastWord, true)
  const soughtId = view.getInt32(idAt + ID_RANDOM, true)
  let at = compactAt(arena, list, family, first) + lastWord
  let id = detailAt(arena, list, family, first) + DETAIL_PEER_ID + ID_RANDOM
  for (let slot = first; slot < end; slot++, at += width, id += DETAIL_BYTES) {
    if (
      arena.view.getInt32(at, true) === sought &&
      arena.view.getInt32(id, true) === soughtId &&
      isPeer(arena, list, family, slot, view, idAt, addressAt)
    ) {
      return slot
    }
  }
  return -1
}

function isPeer(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  view: DataView,
  idAt: number,
  addressAt: number,
): boolean {
  return (
    sameAddress(
      arena,
      compactAt(arena, list, family, slot),
      view,
      addressAt,
      PEER_ADDRESS[family]!,
    ) && hasPeerId(arena, list, family, slot, view, idAt)
  )
}

/** Whether the peer in `slot` has the 20-byte id at `idAt`, whatever its address. */
export function hasPeerId(
  arena: Arena,
  list: number,
  family: number,
  slot: number,
  view: DataView,
  idAt: number,
): boolean {
  return samePeerId(arena, detailAt(arena, list, family, slot) + DETAIL_PEER_ID, view, idAt)
}
