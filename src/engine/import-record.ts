import type { Bytes } from '../protocol/bytes.ts'
import type { EngineSettings } from './engine.ts'
import type { OpenTables } from './export-stripe.ts'
import { type Arena, stripeHead } from './tables/arena.ts'
import { findPeer } from './tables/find-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  COMPLETION_COUNTED,
  DETAIL_BYTES,
  DETAIL_PEER_ID,
  DETAIL_SEEN,
  DETAIL_USER,
  PEER_WIDTH,
  TORRENT_COMPLETED,
} from './tables/layout.ts'
import { passLock, takeLock } from './tables/lock.ts'
import { compactAt, detailAt, lastSeen, listOf } from './tables/peer-list.ts'
import { insertPeer, setSeeder } from './tables/swarm.ts'
import {
  addTorrent,
  findTorrent,
  markChanged,
  stripeOf,
  torrentActive,
  torrentCompleted,
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

/** Peers put in while a stripe's lock is held: some ten microseconds. */
const PIECE_PEERS_MAX = 128

/** What became of the records. All counts are of peers but the first. */
export type Imported = {
  torrents: number
  /** Put in, per family. */
  readonly peers: [number, number]
  /** Silent for longer than the timeout. */
  expired: number
  /** Were there already and had announced since. */
  newer: number
  /** Found no room. */
  refused: number
}

export type ImportRules = {
  /** Unix seconds. */
  readonly nowSeconds: number
  readonly settings: ImportSettings
}

/** Who has been silent for longer than the timeout is left out; what is kept in a database is noted as changed, as announces do. */
export type ImportSettings = Pick<EngineSettings, 'peersTimeout' | 'persistent' | 'notePeers'>

/**
 * Puts the torrent and the peers of the record at `at` (torrent-record.ts, checked by `recordEnd`) into tables that may be in use, and returns
 * where the record ends. What announced since is newer and stays as it is; nothing is evicted, because nothing here is older than what
 * a record brings. The completed count becomes the larger one of both: adding them would be off by no more than the few downloads since
 * the start, but would count double whatever was brought in twice, from a database or another record.
 */
export function importRecord(
  tables: OpenTables,
  record: Bytes,
  at: number,
  rules: ImportRules,
  imported: Imported,
): number {
  const { view } = record
  const ipv4 = recordPeers(view, at, 0)
  const peers = ipv4 + recordPeers(view, at, 1)
  const end = at + recordBytes(ipv4, peers - ipv4)
  if (view.getUint32(at + RECORD_ACTIVE, true) < rules.nowSeconds - rules.settings.peersTimeout) {
    imported.expired += peers
    return end
  }
  const hash = hashInfoHash(tables.hashKey, view, at + RECORD_HASH)
  const number = stripeOf(hash, tables.stripeCount)
  const arena = tables.arenas[number % tables.arenas.length] as Arena
  const stripe = stripeHead(number, tables.arenas.length)
  for (let first = 0; first === 0 || first < peers; first += PIECE_PEERS_MAX) {
    const last = Math.min(peers, first + PIECE_PEERS_MAX)
    takeLock(arena, stripe)
    const torrent = importTorrent(tables, arena, stripe, hash, view, at, rules)
    if (torrent === 0) imported.refused += last - first
    for (let peer = first; torrent !== 0 && peer < last; peer++) {
      importPeer(tables, arena, stripe, torrent, record, at, peer, rules, imported)
    }
    passLock(arena, stripe)
    if (torrent !== 0 && first === 0 && (view.getUint32(at + RECORD_FLAGS, true) & CONTINUED) === 0)
      imported.torrents++
  }
  return end
}

/** Finds or adds the record's torrent and returns its reference; 0 when the memory is full. */
function importTorrent(
  tables: OpenTables,
  arena: Arena,
  stripe: number,
  hash: number,
  view: DataView,
  at: number,
  rules: ImportRules,
): number {
  const torrent =
    findTorrent(arena, stripe, hash, view, at + RECORD_HASH) ||
    addTorrent(arena, stripe, hash, view, at + RECORD_HASH, tables.hashKey)
  if (torrent === 0) return 0
  const active = Math.min(rules.nowSeconds, view.getUint32(at + RECORD_ACTIVE, true))
  if (active > torrentActive(arena, torrent)) touchTorrent(arena, torrent, active)
  const completed = view.getUint32(at + RECORD_COMPLETED, true)
  if (completed > torrentCompleted(arena, torrent)) {
    arena.u32[(torrent + TORRENT_COMPLETED) >> 2] = completed
    if (rules.settings.persistent) markChanged(arena, stripe, torrent)
  }
  return torrent
}

/** Puts in the record's peer number `peer`, all IPv4 counted before all IPv6. */
function importPeer(
  tables: OpenTables,
  arena: Arena,
  stripe: number,
  torrent: number,
  record: Bytes,
  at: number,
  peer: number,
  rules: ImportRules,
  imported: Imported,
): void {
  const { view } = record
  const ipv4 = recordPeers(view, at, 0)
  const family = peer < ipv4 ? 0 : 1
  const count = family === 0 ? ipv4 : recordPeers(view, at, 1)
  const place = family === 0 ? peer : peer - ipv4
  const width = PEER_WIDTH[family]
  const compacts = at + (family === 0 ? RECORD_HEAD_BYTES : recordBytes(ipv4, 0))
  const compact = compacts + place * width
  const detail = compacts + count * width + place * DETAIL_BYTES
  // A clock that was set back would otherwise keep the peer for as long.
  const seen = Math.min(rules.nowSeconds, detailSeen(view, detail))
  if (seen < rules.nowSeconds - rules.settings.peersTimeout) {
    imported.expired++
    return
  }
  const list = listOf(arena, torrent, family)
  const key = tables.hashKey
  const id = detail + DETAIL_PEER_ID
  const seeder = detailIsSeeder(view, detail)
  let slot = findPeer(arena, list, family, view, id, compact, key)
  if (slot === -1) {
    slot = insertPeer(arena, stripe, torrent, family, view, id, compact, seeder, key)
    if (slot === -1) {
      imported.refused++
      return
    }
    imported.peers[family]++
    if (rules.settings.notePeers) markChanged(arena, stripe, torrent)
  } else {
    if (lastSeen(arena, detailAt(arena, list, family, slot)) >= seen) {
      imported.newer++
      return
    }
    slot = setSeeder(arena, stripe, list, family, slot, seeder, key)
  }
  const ownCompact = compactAt(arena, list, family, slot)
  const ownDetail = detailAt(arena, list, family, slot)
  for (let n = 0; n < width; n++) arena.u8[ownCompact + n] = record.u8[compact + n] as number
  for (let n = 0; n < DETAIL_SEEN; n++) arena.u8[ownDetail + n] = record.u8[detail + n] as number
  arena.view.setUint32(ownDetail + DETAIL_SEEN, seen, true)
  // A user's number means nothing to another process: the peer is nobody's until it announces.
  const owner = view.getUint32(detail + DETAIL_USER, true) & COMPLETION_COUNTED
  arena.view.setUint32(ownDetail + DETAIL_USER, owner, true)
}
