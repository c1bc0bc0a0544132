import { COMPACT_BYTES, Family } from '../../protocol/records.ts'
import type { Arena } from './arena.ts'
import { hashPeer } from './keyed-hash.ts'
import { DETAIL_BYTES, DETAIL_PEER_ID, PEER_ADDRESS } from './layout.ts'
import { indexFind } from './peer-index.ts'
import {
  blockAt,
  compactAt,
  detailAt,
  listOf,
  peerCount,
  peerIndexOf,
  seederCount,
} from './peer-list.ts'
import { hasTags, nextTag, tagOf } from './peer-tags.ts'
import { type ListRef, NO_SLOT, NO_TORRENT, type Slot, type TorrentRef } from './references.ts'
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
  /** Set by `findPeer`: whether the list may have peers of the same IPv4 address or IPv6 /64. */
  mayShareAddress: boolean
}

export function createSoughtPeer(view: DataView): SoughtPeer {
  return { family: 0, view, idAt: 0, addressAt: 0, seeder: false, mayShareAddress: true }
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
  const { family } = peer
  const index = peerIndexOf(arena, list)
  peer.mayShareAddress = true
  if (index !== 0) {
    const { view, idAt, addressAt } = peer
    const hash = hashPeer(held.hashKey, view, idAt, addressAt, PEER_ADDRESS[family])
    let slot = indexFind(arena, index, hash, NO_SLOT)
    while (slot !== NO_SLOT && !isPeerAt(arena, list, slot, peer)) {
      slot = indexFind(arena, index, hash, slot)
    }
    return slot
  }
  // A peer is mostly in the same half of the list as at its last announce, so that half comes
  // first.
  const first = peer.seeder ? 0 : seederCount(arena, list)
  const count = peerCount(arena, list)
  if (hasTags(held, list)) {
    peer.mayShareAddress = false
    const slot = findByTag(held, list, peer, first, count)
    return slot !== NO_SLOT || first === 0 ? slot : findByTag(held, list, peer, 0, first)
  }
  // A scan compares all of an IPv4 address, and the end of an IPv6 address.
  if (family === Family.ipv4) peer.mayShareAddress = false
  const slot = scanPeers(arena, list, first, count, peer)
  if (slot !== NO_SLOT || first === 0) return slot
  return scanPeers(arena, list, 0, first, peer)
}

/** Finds the peer in a torrent's list of its family. The torrent may be NO_TORRENT. */
export function findPeerOf(held: HeldStripe, torrent: TorrentRef, peer: SoughtPeer): Slot {
  if (torrent === NO_TORRENT) return NO_SLOT
  return findPeer(held, listOf(held.arena, torrent, peer.family), peer)
}

/** The slot of a small list with tags, from `first` to `end` - 1, that holds the peer. */
function findByTag(
  { arena, hashKey }: HeldStripe,
  list: ListRef,
  peer: SoughtPeer,
  first: number,
  end: number,
): Slot {
  const { family } = peer
  const tags = blockAt(arena, list, 0 as Slot)
  const compact = compactAt(arena, list, family, 0 as Slot)
  const detail = detailAt(arena, list, family, 0 as Slot)
  const width = COMPACT_BYTES[family]
  const tag = tagOf(hashKey, peer.view, peer.addressAt, family)
  for (let slot = nextTag(arena, tags, tag, first, end); slot !== NO_SLOT; ) {
    peer.mayShareAddress = true
    if (isPeer(arena, compact + slot * width, detail + slot * DETAIL_BYTES, peer)) {
      return slot as Slot
    }
    slot = nextTag(arena, tags, tag, slot + 1, end)
  }
  return NO_SLOT
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
  let at = compactAt(arena, list, family, first as Slot) as number
  let detail = detailAt(arena, list, family, first as Slot) as number
  for (let slot = first as Slot; slot < end; slot++, at += width, detail += DETAIL_BYTES) {
    if (arena.view.getInt32(at + lastWord, true) !== address) continue
    peer.mayShareAddress = true
    if (
      arena.view.getInt32(detail + DETAIL_PEER_ID + ID_PREFIX, true) === idWord &&
      isPeer(arena, at, detail, peer)
    ) {
      return slot
    }
  }
  return NO_SLOT
}

function isPeerAt(arena: Arena, list: ListRef, slot: Slot, peer: SoughtPeer): boolean {
  const detail = detailAt(arena, list, peer.family, slot)
  return isPeer(arena, compactAt(arena, list, peer.family, slot), detail, peer)
}

/** Whether the compact bytes and details at these offsets are those of the peer. */
function isPeer(arena: Arena, compact: number, detail: number, peer: SoughtPeer): boolean {
  const { addressAt, family, idAt, view } = peer
  if (arena.view.getInt32(compact, true) !== view.getInt32(addressAt, true)) return false
  for (let n = 4; n < PEER_ADDRESS[family]; n += 4) {
    if (arena.view.getInt32(compact + n, true) !== view.getInt32(addressAt + n, true)) return false
  }
  return hasPeerId(arena, detail, view, idAt)
}

/** Whether the peer with the details at `detail` has the 20-byte id at `idAt`. */
export function hasPeerId(arena: Arena, detail: number, view: DataView, idAt: number): boolean {
  const { view: own } = arena
  const at = detail + DETAIL_PEER_ID
  // The random part, which tells most ids apart, comes first.
  return (
    own.getInt32(at + 16, true) === view.getInt32(idAt + 16, true) &&
    own.getInt32(at + 12, true) === view.getInt32(idAt + 12, true) &&
    own.getInt32(at + 8, true) === view.getInt32(idAt + 8, true) &&
    own.getInt32(at + 4, true) === view.getInt32(idAt + 4, true) &&
    own.getInt32(at, true) === view.getInt32(idAt, true)
  )
}
