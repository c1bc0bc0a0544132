import { Scope } from '../protocol/ip.ts'
import {
  ADDRESS,
  COMPACT_BYTES,
  COMPLETED,
  Family,
  FLAGS,
  Flag,
  INFO_HASH,
  type IpFamily,
  LEECHERS,
  NUMWANT,
  PEER_COUNT,
  PEER_ID,
  PORT,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  SEEDERS,
} from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import { readExtra } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { copyUseful, copyUsefulIds, readRecipient } from './tables/hand-out.ts'
import { listOf, peerCount, torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import {
  copyCompact,
  copyPeerIds,
  dropPeerId,
  openPicks,
  type Picks,
  pickPeers,
} from './tables/pick.ts'
import { NO_SLOT, type Slot, type TorrentRef } from './tables/references.ts'
import { torrentCompleted } from './tables/torrents.ts'

/** Additional peers that are picked when some of the first ones are of no use to the client. */
const SPARE_PEERS = 64
/** The same where expired peers may be among them. */
const SPARE_PEERS_EXPIRED = 1024

/**
 * Picks peers for the client, whose peer is in `slot`, and writes those of use to it after the
 * reply's header. Returns where they end.
 */
export function writePeers(
  engine: Engine,
  { request, at, reply, replyAt, peer, oldest }: Announce,
  torrent: TorrentRef,
  slot: Slot,
): number {
  const { u8, view } = request
  const { recipient, held } = engine
  const family = peer.family as IpFamily
  const flags = u8[at + FLAGS]!
  const wanted = view.getUint16(at + NUMWANT, true)
  const wantsIds = (flags & Flag.peerIds) !== 0
  readRecipient(recipient, family, view, at + ADDRESS, view.getUint16(at + PORT, true))
  if ((flags & Flag.localPeers) !== 0) {
    // Other clients get the local peers within their own reach, under their own addresses.
    if (recipient.scope === Scope.global) recipient.scope = Scope.local
    else reply.u8[replyAt + REPLY_FLAGS] = flags & ~Flag.localPeers
  }
  const wantsBoth = (flags & Flag.bothFamilies) !== 0
  const own = engine.picks[family]
  openPicks(own, held.arena, listOf(held.arena, torrent, family), family)
  own.oldest = oldest
  if (wantsBoth || wantsIds) {
    const other = otherOf(family)
    openPicks(engine.picks[other], held.arena, listOf(held.arena, torrent, other), other)
    engine.picks[other].oldest = oldest
  }
  const peers = replyAt + REPLY_HEADER_BYTES
  const width = COMPACT_BYTES[family]
  pickPeers(own, wanted, slot, peer.seeder)
  dropOthers(engine, own)
  let end = copyUseful(own, recipient, wanted, reply.view, peers)
  if (end < peers + wanted * width && pickMore(own, wanted, slot, peer.seeder)) {
    dropOthers(engine, own)
    end = copyUseful(own, recipient, wanted, reply.view, peers)
  }
  const ownCount = (end - peers) / width
  let otherCount = 0
  if (wantsBoth && ownCount < wanted) {
    otherCount = writeOtherFamily(engine, peers, ownCount, wanted - ownCount)
    end += otherCount * COMPACT_BYTES[otherOf(family)]
  }
  reply.view.setUint16(replyAt + PEER_COUNT[family], ownCount, true)
  if (otherCount > 0) reply.view.setUint16(replyAt + PEER_COUNT[otherOf(family)], otherCount, true)
  if (!wantsIds) return end
  const [ipv4, ipv6] = engine.picks
  const ipv4Count = family === Family.ipv4 ? ownCount : otherCount
  const idsEnd = copyUsefulIds(ipv4, recipient, ipv4Count, reply.view, end)
  return copyUsefulIds(ipv6, recipient, ownCount + otherCount - ipv4Count, reply.view, idsEnd)
}

function otherOf(family: IpFamily): IpFamily {
  return family === Family.ipv4 ? Family.ipv6 : Family.ipv4
}

/** Picks again, with spare peers; false if all peers of the list were picked before. */
function pickMore(picks: Picks, wanted: number, slot: Slot, forSeeder: boolean): boolean {
  if (peerCount(picks.arena, picks.list) <= wanted) return false
  const spare = picks.oldest === 0 ? SPARE_PEERS : SPARE_PEERS_EXPIRED
  openPicks(picks, picks.arena, picks.list, picks.family)
  return pickPeers(picks, wanted + spare, slot, forSeeder) > 0
}

/**
 * Writes at most `wanted` peers of the other IP family, if the client has an address of it, without
 * the client's own peer. In a reply IPv4 comes first. Returns how many.
 */
function writeOtherFamily(
  { announce, picks, recipient }: Engine,
  peers: number,
  ownCount: number,
  wanted: number,
): number {
  const { reply } = announce
  const family = announce.peer.family as IpFamily
  const other = otherOf(family)
  const others = picks[other]
  pickPeers(others, wanted, NO_SLOT, announce.peer.seeder)
  dropPeerId(others, announce.request.view, announce.at + PEER_ID)
  const ownEnd = peers + ownCount * COMPACT_BYTES[family]
  const end = copyUseful(others, recipient, wanted, reply.view, ownEnd)
  if (other === Family.ipv4 && end > ownEnd) {
    // The peers of the client's own family are IPv6: move them behind the IPv4 peers.
    const scratch = reply.u8.slice(ownEnd, end)
    reply.u8.copyWithin(peers + scratch.length, peers, ownEnd)
    reply.u8.set(scratch, peers)
  }
  return (end - ownEnd) / COMPACT_BYTES[other]
}

/** Leaves out the client's own peers under other addresses of its session. Returns how many. */
function dropOthers({ access, account, announce }: Engine, picks: Picks): number {
  if (!access.rules.users || !account.hasOthers) return 0
  return dropPeerId(picks, announce.request.view, announce.at + PEER_ID)
}

/** Writes other WebSocket peers for a WebSocket peer, always with their ids. */
export function writeConnections(
  engine: Engine,
  { request, at, reply, replyAt, peer, oldest }: Announce,
  torrent: TorrentRef,
  slot: Slot,
): number {
  const { arena } = engine.held
  const [picks] = engine.picks
  const family = Family.websocket
  openPicks(picks, arena, listOf(arena, torrent, family), family)
  picks.oldest = oldest
  pickPeers(picks, request.view.getUint16(at + NUMWANT, true), slot, peer.seeder)
  dropOthers(engine, picks)
  const first = replyAt + REPLY_HEADER_BYTES
  const end = copyCompact(picks, reply.view, first)
  const picked = (end - first) / COMPACT_BYTES[family]
  reply.view.setUint16(replyAt + PEER_COUNT[family], picked, true)
  return copyPeerIds(picks, reply.view, end)
}

/** Writes the counts of the whole swarm, all families together; a session counts once. */
export function writeCounts(
  engine: Engine,
  { request, at, reply, replyAt, hash }: Announce,
  torrent: TorrentRef,
): void {
  const { arena } = engine.held
  const { view } = reply
  let seeders = torrentSeeders(arena, torrent)
  let leechers = torrentPeers(arena, torrent) - seeders
  if (engine.access.rules.users) {
    const extra = readExtra(engine, hash, request.view, at + INFO_HASH)
    seeders -= extra.seeders
    leechers -= extra.leechers
  }
  view.setUint32(replyAt + SEEDERS, seeders, true)
  view.setUint32(replyAt + LEECHERS, leechers, true)
  view.setUint32(replyAt + COMPLETED, torrentCompleted(arena, torrent), true)
}
