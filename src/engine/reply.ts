import {
  COMPLETED,
  Family,
  FLAGS,
  Flag,
  type IpFamily,
  LEECHERS,
  NUMWANT,
  PEER_COUNT,
  PEER_ID,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  SEEDERS,
} from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import type { Arena } from './tables/arena.ts'
import { listOf, torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import { copyCompact, copyPeerIds, dropPeerId, openPicks, pickPeers } from './tables/pick.ts'
import { NO_SLOT, type Slot, type TorrentRef } from './tables/references.ts'
import { torrentCompleted } from './tables/torrents.ts'

/**
 * Picks peers for the client, whose peer is in `slot`, and writes them after the reply's header.
 * Returns where they end.
 */
export function writePeers(
  engine: Engine,
  { request, at, reply, replyAt, peer }: Announce,
  torrent: TorrentRef,
  slot: Slot,
): number {
  const { u8, view } = request
  const { arena } = engine.held
  const family = peer.family as IpFamily
  const other = family === Family.ipv4 ? Family.ipv6 : Family.ipv4
  const flags = u8[at + FLAGS]!
  const wanted = view.getUint16(at + NUMWANT, true)
  const own = engine.picks[family]
  const others = engine.picks[other]
  openPicks(own, arena, listOf(arena, torrent, family), family)
  openPicks(others, arena, listOf(arena, torrent, other), other)
  const picked = pickPeers(own, wanted, slot, peer.seeder)
  if ((flags & Flag.bothFamilies) !== 0) {
    let count = pickPeers(others, wanted - picked, NO_SLOT, peer.seeder)
    count -= dropPeerId(others, view, at + PEER_ID)
    reply.view.setUint16(replyAt + PEER_COUNT[other], count, true)
  }
  reply.view.setUint16(replyAt + PEER_COUNT[family], picked, true)
  reply.u8[replyAt + REPLY_FLAGS] = flags
  const [ipv4, ipv6] = engine.picks
  let end = copyCompact(ipv4, reply.view, replyAt + REPLY_HEADER_BYTES)
  end = copyCompact(ipv6, reply.view, end)
  if ((flags & Flag.peerIds) === 0) return end
  return copyPeerIds(ipv6, reply.view, copyPeerIds(ipv4, reply.view, end))
}

/** Does the same for a WebSocket peer, which gets other WebSocket peers, always with their ids. */
export function writeConnections(
  engine: Engine,
  { request, at, reply, replyAt, peer }: Announce,
  torrent: TorrentRef,
  slot: Slot,
): number {
  const { arena } = engine.held
  const [picks] = engine.picks
  const family = Family.websocket
  openPicks(picks, arena, listOf(arena, torrent, family), family)
  const wanted = request.view.getUint16(at + NUMWANT, true)
  const picked = pickPeers(picks, wanted, slot, peer.seeder)
  reply.view.setUint16(replyAt + PEER_COUNT[family], picked, true)
  const end = copyCompact(picks, reply.view, replyAt + REPLY_HEADER_BYTES)
  return copyPeerIds(picks, reply.view, end)
}

/** Writes the counts of the whole swarm, all families together. */
export function writeCounts(
  arena: Arena,
  torrent: TorrentRef,
  view: DataView,
  replyAt: number,
): void {
  const seeders = torrentSeeders(arena, torrent)
  view.setUint32(replyAt + SEEDERS, seeders, true)
  view.setUint32(replyAt + LEECHERS, torrentPeers(arena, torrent) - seeders, true)
  view.setUint32(replyAt + COMPLETED, torrentCompleted(arena, torrent), true)
}
