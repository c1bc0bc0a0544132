import { allocate, type Bytes } from '../protocol/bytes.ts'
import { ADDRESS, FAMILY, type Family, INFO_HASH, LEFT, PEER_ID } from '../protocol/records.ts'
import { createSoughtPeer, type SoughtPeer } from './tables/find-peer.ts'
import { type HashKey, hashInfoHash } from './tables/keyed-hash.ts'

/** A request record (protocol/records.ts) that is being answered, and the memory for its reply. */
export type Exchange = {
  request: Bytes
  /** Offset of the request record. */
  at: number
  reply: Bytes
  /** Offset of the reply record. */
  replyAt: number
  /** Unix seconds. */
  nowSeconds: number
}

/**
 * The announce that a thread is answering: one object per thread, filled in again for each request,
 * so that an announce allocates nothing.
 */
export type Announce = Exchange & {
  /** Keyed hash of the info hash. */
  hash: number
  /** The peer that announces. */
  readonly peer: SoughtPeer
  /** The announce counted as a download: set once it has changed the swarm. */
  completed: boolean
  /** Another node has answered it, and checked the limits. */
  isRemote: boolean
  /** The peer's lease (tables/lease.ts); 0 for none. Set before an announce of another node. */
  lease: number
  /** It changes nothing for the other nodes, which get only some of such announces. */
  isContinued: boolean
  /** Unix seconds: peers whose last announce is before it are not handed out; 0 for no bound. */
  oldest: number
}

export function createAnnounce(): Announce {
  const none = allocate(0)
  return {
    request: none,
    at: 0,
    reply: none,
    replyAt: 0,
    nowSeconds: 0,
    hash: 0,
    oldest: 0,
    peer: createSoughtPeer(none.view),
    completed: false,
    isRemote: false,
    lease: 0,
    isContinued: false,
  }
}

/** Copies torrent and peer from the request record of an announce. */
export function readAnnounce(announce: Announce, hashKey: HashKey): void {
  const { at, peer } = announce
  const { u8, view } = announce.request
  announce.hash = hashInfoHash(hashKey, view, at + INFO_HASH)
  peer.family = u8[at + FAMILY] as Family
  peer.view = view
  peer.idAt = at + PEER_ID
  peer.addressAt = at + ADDRESS
  peer.seeder = view.getUint32(at + LEFT, true) === 0 && view.getUint32(at + LEFT + 4, true) === 0
}
