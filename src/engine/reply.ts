import type { Bytes } from '../protocol/bytes.ts'
import {
  COMPLETED,
  FAMILY,
  Family,
  FLAGS,
  Flag,
  type IpFamily,
  LEECHERS,
  LEFT,
  NUMWANT,
  PEER_COUNT,
  PEER_ID,
  REPLY_FLAGS,
  REPLY_HEADER_BYTES,
  SEEDERS,
} from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import type { Arena } from './tables/arena.ts'
import { listOf, torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import { copyCompact, copyPeerIds, dropPeerId, pickPeers } from './tables/pick.ts'
import { torrentCompleted } from './tables/torrents.ts'

/** Whether an announce says that nothing is left. */
export function isSeeder(view: DataView, at: number): boolean {
  return view.getUint32(at + LEFT, true) === 0 && view.getUint32(at + LEFT + 4, true) === 0
}

/** Picks the peers that the asker is given, writes them behind the reply's header, and returns where they end. */
export function writePeers(
  engine: Engine,
  arena: Arena,
  torrent: number,
  slot: number,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
): number {
  const { u8, view } = request
  const family = u8[at + FAMILY] as IpFamily
  const other = family === Family.ipv4 ? Family.ipv6 : Family.ipv4
  const flags = u8[at + FLAGS] as number
  const seeder = isSeeder(view, at)
  const wanted = view.getUint16(at + NUMWANT, true)
  const own = engine.picks[family]
  const others = engine.picks[other]
  const picked = pickPeers(
    own,
    engine.random,
    arena,
    listOf(arena, torrent, family),
    wanted,
    slot,
    seeder,
  )
  others.runCount = 0
  if ((flags & Flag.bothFamilies) !== 0) {
    const list = listOf(arena, torrent, other)
    let count = pickPeers(others, engine.random, arena, list, wanted - picked, -1, seeder)
    count -= dropPeerId(others, arena, list, other, view, at + PEER_ID)
    reply.view.setUint16(replyAt + PEER_COUNT[other], count, true)
  }
  reply.view.setUint16(replyAt + PEER_COUNT[family], picked, true)
  reply.u8[replyAt + REPLY_FLAGS] = flags
  let end = replyAt + REPLY_HEADER_BYTES
  for (let f = 0; f < engine.picks.length; f++) {
    end = copyCompact(
      engine.picks[f as IpFamily],
      arena,
      listOf(arena, torrent, f),
      f,
      reply.view,
      end,
    )
  }
  if ((flags & Flag.peerIds) === 0) return end
  for (let f = 0; f < engine.picks.length; f++) {
    end = copyPeerIds(
      engine.picks[f as IpFamily],
      arena,
      listOf(arena, torrent, f),
      f,
      reply.view,
      end,
    )
  }
  return end
}

/** As `writePeers`, for a WebSocket peer: of its like, always with their ids. */
export function writeConnections(
  engine: Engine,
  arena: Arena,
  torrent: number,
  slot: number,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
): number {
  const { view } = request
  const family = Family.websocket
  const list = listOf(arena, torrent, family)
  const [picks] = engine.picks
  const wanted = view.getUint16(at + NUMWANT, true)
  const seeder = isSeeder(view, at)
  const picked = pickPeers(picks, engine.random, arena, list, wanted, slot, seeder)
  reply.view.setUint16(replyAt + PEER_COUNT[family], picked, true)
  const end = copyCompact(picks, arena, list, family, reply.view, replyAt + REPLY_HEADER_BYTES)
  return copyPeerIds(picks, arena, list, family, reply.view, end)
}

/** The counts of the whole swarm, of all families. */
export function writeCounts(arena: Arena, torrent: number, view: DataView, replyAt: number): void {
  const seeders = torrentSeeders(arena, torrent)
  view.setUint32(replyAt + SEEDERS, seeders, true)
  view.setUint32(replyAt + LEECHERS, torrentPeers(arena, torrent) - seeders, true)
  view.setUint32(replyAt + COMPLETED, torrentCompleted(arena, torrent), true)
}
