import type { Bytes } from '../protocol/bytes.ts'
import { COMPACT_BYTES, Family, type IpFamily } from '../protocol/records.ts'
import type { EngineSettings, OpenTables } from './engine.ts'
import { ownerIn } from './peer-owner.ts'
import {
  isRemovedOwner,
  mayRejoin,
  type OwnedPeer,
  rejoin,
  type StoredOwners,
  storedOwner,
} from './stored-owners.ts'
import type { Arena } from './tables/arena.ts'
import { createSoughtPeer, findPeer, type SoughtPeer } from './tables/find-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  COMPLETION_COUNTED,
  DETAIL_BYTES,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_USER,
  PEER_LEASED,
  PEER_RETURNED,
  TORRENT_COMPLETED,
  TORRENT_WRITTEN,
  USER_NUMBER_BITS,
} from './tables/layout.ts'
import { isForeignLease, isOwnLease, leaseIn, UNKNOWN_LEASE, wordAt } from './tables/lease.ts'
import { compactAt, detailAt, lastSeen, listOf, seederCount } from './tables/peer-list.ts'
import { NO_SLOT, NO_TORRENT, type TorrentRef } from './tables/references.ts'
import { type HeldStripe, holdStripeOf, passStripe } from './tables/stripe.ts'
import { insertPeer, setSeeder } from './tables/swarm.ts'
import {
  addTorrent,
  findTorrent,
  markChanged,
  setTorrentOldest,
  torrentActive,
  torrentCompleted,
  torrentOldest,
  touchTorrent,
} from './tables/torrents.ts'
import {
  CONTINUED,
  detailIsSeeder,
  detailSeen,
  RECORD_ACTIVE,
  RECORD_COMPLETED,
  RECORD_FLAGS,
  RECORD_HASH,
  RECORD_HEAD_BYTES,
  recordBytes,
  recordPeers,
} from './torrent-record.ts'

/** Peers inserted while a stripe's lock is held: some ten microseconds. */
const CHUNK_PEERS_MAX = 128

/** Result of importing records. All counts but the first are peers. */
export type Imported = {
  torrents: number
  /** Inserted peers, per family. */
  readonly peers: [number, number]
  /** Skipped peers: their last announce is longer ago than the timeout. */
  expired: number
  /** Skipped peers: they have announced since, have left, or belong to a removed user. */
  newer: number
  /** Skipped peers: memory is full. */
  refused: number
}

export type ImportRules = {
  /** Unix seconds. */
  readonly nowSeconds: number
  readonly settings: ImportSettings
  /** Whether a peer that the tables do not have, last seen then, has stopped since. */
  readonly hasStopped?: (record: Bytes, peer: SoughtPeer, at: number, seen: number) => boolean
  /** The node whose tables the record is from; undefined for one from a file. */
  readonly giver?: Giver
  /** The users of stored peers; without them, a peer has no owner until it announces. */
  readonly owners?: StoredOwners
}

export type Giver = {
  /** The lease of the peers that it owns; 0 for none. */
  readonly lease: number
  /** Unix second: peers that other nodes own may have been last seen then. */
  readonly leasedSince: number
}

/** Peers older than the timeout are skipped. Torrents in a database are marked as changed. */
export type ImportSettings = Pick<
  EngineSettings,
  'peersTimeout' | 'persistent' | 'notePeers' | 'sharesDatabase'
>

/** A record that is being imported. */
type Import = {
  readonly held: HeldStripe
  readonly record: Bytes
  readonly at: number
  readonly rules: ImportRules
  readonly imported: Imported
  readonly peer: SoughtPeer
}

/**
 * Inserts the torrent and the peers of the record at `at` (torrent-record.ts, checked by
 * `recordEnd`) into tables that may be in use, and returns where the record ends. A peer that has
 * announced since is newer and stays as it is. No peer is evicted, because none in the tables is
 * older than those of a record. The completed count becomes the larger one of both: their sum would
 * count twice what was imported twice, from a database or another record.
 */
export function importRecord(
  { held }: OpenTables,
  record: Bytes,
  at: number,
  rules: ImportRules,
  imported: Imported,
): number {
  const { view } = record
  const ipv4 = recordPeers(view, at, Family.ipv4)
  const peers = ipv4 + recordPeers(view, at, Family.ipv6)
  const end = at + recordBytes(ipv4, peers - ipv4)
  const mayBeLeased = rules.giver !== undefined && peers > 0
  const active = view.getUint32(at + RECORD_ACTIVE, true)
  if (active < rules.nowSeconds - rules.settings.peersTimeout && !mayBeLeased) {
    imported.expired += peers
    return end
  }
  const hash = hashInfoHash(held.hashKey, view, at + RECORD_HASH)
  const all: Import = { held, record, at, rules, imported, peer: createSoughtPeer(view) }
  for (let first = 0; first === 0 || first < peers; first += CHUNK_PEERS_MAX) {
    const last = Math.min(peers, first + CHUNK_PEERS_MAX)
    holdStripeOf(held, hash)
    const torrent = importTorrent(all, hash)
    if (torrent === NO_TORRENT) imported.refused += last - first
    else for (let peer = first; peer < last; peer++) importPeer(all, torrent, peer)
    passStripe(held)
    const isContinued = (view.getUint32(at + RECORD_FLAGS, true) & CONTINUED) !== 0
    if (torrent !== NO_TORRENT && first === 0 && !isContinued) imported.torrents++
  }
  return end
}

/** Finds or adds the record's torrent; NO_TORRENT if memory is full. */
function importTorrent({ held, record: { view }, at, rules }: Import, hash: number): TorrentRef {
  const { arena } = held
  const torrent =
    findTorrent(held, hash, view, at + RECORD_HASH) ||
    addTorrent(held, hash, view, at + RECORD_HASH)
  if (torrent === NO_TORRENT) return NO_TORRENT
  const active = Math.min(rules.nowSeconds, view.getUint32(at + RECORD_ACTIVE, true))
  if (active > torrentActive(arena, torrent)) touchTorrent(arena, torrent, active)
  const completed = view.getUint32(at + RECORD_COMPLETED, true)
  if (completed > torrentCompleted(arena, torrent)) {
    const more = completed - torrentCompleted(arena, torrent)
    if (rules.settings.sharesDatabase) arena.u32[(torrent + TORRENT_WRITTEN) >> 2]! += more
    arena.u32[(torrent + TORRENT_COMPLETED) >> 2] = completed
    if (rules.settings.persistent) markChanged(held, torrent)
  }
  return torrent
}

/** Imports the record's peer number `number`, counted from the first IPv4 to the last IPv6 peer. */
function importPeer(all: Import, torrent: TorrentRef, number: number): void {
  const { held, at, rules, imported, peer } = all
  const { view } = all.record
  const ipv4 = recordPeers(view, at, Family.ipv4)
  const family: IpFamily = number < ipv4 ? Family.ipv4 : Family.ipv6
  const isIpv4 = family === Family.ipv4
  const count = isIpv4 ? ipv4 : recordPeers(view, at, Family.ipv6)
  const place = isIpv4 ? number : number - ipv4
  const width = COMPACT_BYTES[family]
  const compacts = at + (isIpv4 ? RECORD_HEAD_BYTES : recordBytes(ipv4, 0))
  const compact = compacts + place * width
  const detail = compacts + count * width + place * DETAIL_BYTES
  // A clock that was set back would otherwise keep the peer longer than the timeout.
  const seen = Math.min(rules.nowSeconds, detailSeen(view, detail))
  const word = view.getUint32(detail + DETAIL_USER, true)
  if (seen < oldestAllowed(rules, word)) {
    imported.expired++
    return
  }
  peer.family = family
  peer.idAt = detail + DETAIL_PEER_ID
  peer.addressAt = compact
  peer.seeder = detailIsSeeder(view, detail)
  const { arena } = held
  const list = listOf(arena, torrent, family)
  let slot = findPeer(held, list, peer)
  const owned = ownedPeer(all, detail, seen)
  const known = slot === NO_SLOT ? 0 : wordAt(arena, detailAt(arena, list, family, slot))
  if (slot === NO_SLOT) {
    if (hasLeft(all, owned, detail, seen)) {
      imported.newer++
      return
    }
    slot = insertPeer(held, torrent, peer)
    if (slot === NO_SLOT) {
      imported.refused++
      return
    }
    imported.peers[family]++
    if (rules.settings.notePeers) markChanged(held, torrent)
  } else {
    const knownSeen = lastSeen(arena, detailAt(arena, list, family, slot))
    // A leecher that becomes a seeder within a second is a seeder at its end.
    const isCompletion = knownSeen === seen && peer.seeder && slot >= seederCount(arena, list)
    if (knownSeen >= seen && !isCompletion) {
      if (knownSeen === seen) giveLease(all, detailAt(arena, list, family, slot), word)
      imported.newer++
      return
    }
    slot = setSeeder(held, list, family, slot, peer.seeder)
  }
  copyIn(arena, compactAt(arena, list, family, slot), all.record.u8, compact, width)
  const ownDetail = detailAt(arena, list, family, slot)
  copyIn(arena, ownDetail, all.record.u8, detail, DETAIL_SEEN)
  arena.view.setUint32(ownDetail + DETAIL_SEEN, seen, true)
  if (seen < torrentOldest(arena, torrent)) setTorrentOldest(arena, torrent, seen)
  const bits = word & (COMPLETION_COUNTED | PEER_RETURNED)
  const owner = owned?.user ?? givenLease(rules, word, known)
  arena.view.setInt32(ownDetail + DETAIL_USER, bits | owner, true)
  if (owned && rules.owners) rejoin(rules.owners, owned)
}

/** The Unix second before which a peer with this word of DETAIL_USER is skipped as timed out. */
function oldestAllowed({ giver, nowSeconds, settings }: ImportRules, word: number): number {
  return giver && isForeignLease(word) ? giver.leasedSince : nowSeconds - settings.peersTimeout
}

/**
 * The lease of an imported peer with this word of DETAIL_USER in the tables of the giver, and the
 * word `known` here. The giver and this node have different numbers for a third node that owns the
 * peer, which is mostly the one that owned it before.
 */
function givenLease({ giver }: ImportRules, word: number, known: number): number {
  if (giver === undefined) return 0
  if (isOwnLease(word)) return giver.lease
  if (!isForeignLease(word)) return 0
  return isForeignLease(known) ? leaseIn(known) : UNKNOWN_LEASE
}

/** Gives a peer that is known from the same second the lease that its owner says. */
function giveLease({ held: { arena }, rules }: Import, detail: number, word: number): void {
  const known = wordAt(arena, detail)
  if (rules.giver === undefined || !isOwnLease(word) || isOwnLease(known)) return
  if (ownerIn(known) !== 0) return
  const bits = known & ~(PEER_LEASED | USER_NUMBER_BITS)
  arena.view.setInt32(detail + DETAIL_USER, bits | rules.giver.lease, true)
}

/** The peer that is being imported, if a user of this process owns it. */
function ownedPeer(
  { at, record, rules, peer }: Import,
  detail: number,
  seen: number,
): OwnedPeer | undefined {
  const user = storedOwner(rules.owners, record.view.getUint32(detail + DETAIL_USER, true))
  return user === 0 ? undefined : { user, record, hashAt: at + RECORD_HASH, peer, seen }
}

/** Whether the peer that is being imported, last seen then, has left the swarm since. */
function hasLeft(
  { at, record, rules, peer }: Import,
  owned: OwnedPeer | undefined,
  detail: number,
  seen: number,
): boolean {
  if (isRemovedOwner(rules.owners, record.view.getUint32(detail + DETAIL_USER, true))) return true
  if (owned && rules.owners && !mayRejoin(rules.owners, owned)) return true
  return rules.hasStopped?.(record, peer, at + RECORD_HASH, seen) ?? false
}

function copyIn({ u8 }: Arena, to: number, from: Uint8Array, at: number, bytes: number): void {
  for (let n = 0; n < bytes; n++) u8[to + n] = from[at + n]!
}
