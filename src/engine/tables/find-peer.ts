import { COMPACT_BYTES, type Family, HASH_BYTES } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import { hashPeer } from './keyed-hash.ts'
import { DETAIL_BYTES, DETAIL_PEER_ID, PEER_ADDRESS } from './layout.ts'
import { indexFind } from './peer-index.ts'
import { blockAt, compactAt, detailAt, peerCount, peerIndexOf, seederCount } from './peer-list.ts'
import { hasTags, nextTag, tagOf } from './peer-tags.ts'
import { type ListRef, NO_SLOT, type Slot } from './references.ts'
import type { HeldStripe } from './stripe.ts'

/**
 * The peer that an operation is about, as the caller has it: in an announce, in a record of a
 * snapshot, or in the tables themselves. One object per thread, filled in again for each peer.
 */
export type SoughtPeer = {
  family: Family
  /** Memory that holds the id and the address. */
  view: DataView
  /** Offset of the 20-byte peer id in `view`. */
  idAt: number
  /** Offset of the address (of a WebSocket peer: the connection) in `view`. */
  addressAt: number
  /** Whether the peer has nothing left to download. */
  seeder: boolean
}

export function createSoughtPeer(view: DataView): SoughtPeer {
  return { family: 0, view, idAt: 0, addressAt: 0, seeder: false }
}

/**
 * Bytes of a peer id that name the client and its version, and are the same for many peers (BEP
 * 20).
 */
const ID_PREFIX = 12

/**
 * Finds the peer with this id and address. Both count: a client that changes its port stays one
 * peer, and a client cannot change the entry of another one by announcing its id from elsewhere.
 */
export function findPeer(held: HeldStripe, list: ListRef, peer: SoughtPeer): Slot {
  const { arena } = held
  const index = peerIndexOf(arena, list)
  if (index !== 0) {
    const { view, idAt, addressAt, family } = peer
    const hash = hashPeer(held.hashKey, view, idAt, addressAt, PEER_ADDRESS[family])
    let slot = indexFind(arena, index, hash, NO_SLOT)
    while (slot !== NO_SLOT && !isPeer(arena, list, slot, peer)) {
      slot = indexFind(arena, index, hash, slot)
    }
    return slot
  }
  // A peer is mostly in the same half of the list as at its last announce, so that half comes
  // first.
  const first = peer.seeder ? 0 : seederCount(arena, list)
  const count = peerCount(arena, list)
  if (hasTags(held, list)) {
    const slot = findByTag(held, list, peer, first, count)
    return slot !== NO_SLOT || first === 0 ? slot : findByTag(held, list, peer, 0, first)
  }
  const slot = scanPeers(arena, list, first, count, peer)
  if (slot !== NO_SLOT || first === 0) return slot
  return scanPeers(arena, list, 0, first, peer)
}

/** The slot of a small list with tags, from `first` to `end` - 1, that holds the peer. */
function findByTag(
  held: HeldStripe,
  list: ListRef,
  peer: SoughtPeer,
  first: number,
  end: number,
): Slot {
  const { arena, hashKey } = held
  const tags = blockAt(arena, list, 0 as Slot)
  const tag = tagOf(hashKey, peer.view, peer.addressAt, peer.family)
  let slot = nextTag(arena, tags, tag, first, end)
  while (slot !== NO_SLOT && !isPeer(arena, list, slot as Slot, peer)) {
    slot = nextTag(arena, tags, tag, slot + 1, end)
  }
  return slot as Slot
}

/** The slot of a list without tags, from `first` to `end` - 1, that holds the peer. */
function scanPeers(
  arena: Arena,
  list: ListRef,
  first: number,
  end: number,
  peer: SoughtPeer,
): Slot {
  const { view, family } = peer
  const width = COMPACT_BYTES[family]
  // The last word of an address differs more often than the first. Where many peers share an
  // address, the random part of their ids tells them apart.
  const lastWord = PEER_ADDRESS[family] - 4
  const address = view.getInt32(peer.addressAt + lastWord, true)
  const idWord = view.getInt32(peer.idAt + ID_PREFIX, true)
  let at = compactAt(arena, list, family, first as Slot) + lastWord
  let id = detailAt(arena, list, family, first as Slot) + DETAIL_PEER_ID + ID_PREFIX
  for (let slot = first as Slot; slot < end; slot++, at += width, id += DETAIL_BYTES) {
    if (
      arena.view.getInt32(at, true) === address &&
      arena.view.getInt32(id, true) === idWord &&
      isPeer(arena, list, slot, peer)
    ) {
      return slot
    }
  }
  return NO_SLOT
}

function isPeer(arena: Arena, list: ListRef, slot: Slot, peer: SoughtPeer): boolean {
  const { family, view } = peer
  const at = compactAt(arena, list, family, slot)
  for (let n = 0; n < PEER_ADDRESS[family]; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(peer.addressAt + n, true)) return false
  }
  return hasPeerId(arena, detailAt(arena, list, family, slot), view, peer.idAt)
}

/** Whether the peer with the details at `detail` has the 20-byte id at `idAt`. */
export function hasPeerId(arena: Arena, detail: number, view: DataView, idAt: number): boolean {
  const at = detail + DETAIL_PEER_ID
  for (let n = 0; n < HASH_BYTES; n += 4) {
    if (arena.view.getInt32(at + n, true) !== view.getInt32(idAt + n, true)) return false
  }
  return true
}
