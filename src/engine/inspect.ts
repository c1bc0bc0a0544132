import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { unmapped } from '../protocol/ip.ts'
import { CONNECTION_CLIENT, Family } from '../protocol/records.ts'
import { ownerOf, readOwner } from './account.ts'
import type { Engine } from './engine.ts'
import { createExportCursor, exportPiece } from './export-stripe.ts'
import { type Arena, stripeHead } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  DETAIL_BYTES,
  DETAIL_DOWNLOADED,
  DETAIL_LEFT,
  DETAIL_PEER_ID,
  DETAIL_UPLOADED,
  DETAIL_USER,
  FAMILY_COUNT,
  PEER_WIDTH,
  STRIPE_CHANGED,
  TORRENT_COMPLETED,
  TORRENT_HASH,
  TorrentFlag,
} from './tables/layout.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import {
  compactAt,
  detailAt,
  lastSeen,
  listOf,
  peerCount,
  seederCount,
  torrentPeers,
  torrentSeeders,
} from './tables/peer-list.ts'
import { removePeer } from './tables/swarm.ts'
import {
  addTorrent,
  findTorrent,
  indexSize,
  markChanged,
  removeTorrent,
  setTorrentFlags,
  stripeOf,
  torrentActive,
  torrentAt,
  torrentCompleted,
  torrentFlags,
  touchTorrent,
} from './tables/torrents.ts'
import {
  detailSeen,
  RECORD_BYTES_MAX,
  RECORD_HASH,
  RECORD_HEAD_BYTES,
  recordBytes,
  recordPeers,
} from './torrent-record.ts'

/** What who administers the tracker reads and changes of the swarms, in bounded pieces: announces go on in between. */

export type TorrentCounts = {
  readonly seeders: number
  readonly leechers: number
  readonly completed: number
  /** Unix seconds of the last announce. */
  readonly active: number
}

export type PeerRecord = {
  readonly id: Buffer
  /** 4 or 16 bytes. Of a WebSocket peer its client's, and no port: nobody can connect there. */
  readonly address: Buffer
  readonly port: number
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
  /** Unix seconds. */
  readonly seen: number
}

/** Peers taken out while a stripe's lock is held. */
const REMOVALS_MAX = 512

/** Runs `work` with the stripe locked that a torrent of this info hash belongs to; `torrent` is 0 when it is not there. */
function inStripe<Result>(
  engine: Engine,
  hash: Bytes,
  work: (arena: Arena, stripe: number, torrent: number, hashed: number) => Result,
): Result {
  const hashed = hashInfoHash(engine.hashKey, hash.view, 0)
  const number = stripeOf(hashed, engine.stripeCount)
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  takeLock(arena, stripe)
  try {
    return work(arena, stripe, findTorrent(arena, stripe, hashed, hash.view, 0), hashed)
  } finally {
    releaseLock(arena, stripe)
  }
}

function countsOf(arena: Arena, torrent: number): TorrentCounts {
  const seeders = torrentSeeders(arena, torrent)
  return {
    seeders,
    leechers: torrentPeers(arena, torrent) - seeders,
    completed: torrentCompleted(arena, torrent),
    active: torrentActive(arena, torrent),
  }
}

export function readTorrent(engine: Engine, hash: Uint8Array): TorrentCounts | undefined {
  return inStripe(engine, bytesOf(hash), (arena, _, torrent) =>
    torrent === 0 ? undefined : countsOf(arena, torrent),
  )
}

/**
 * Enters a torrent, which then stays without peers, or sets its count of downloads; `atLeast` leaves a higher one. Returns whether it was there
 * before; undefined when there is no memory for it.
 */
export function putTorrent(
  engine: Engine,
  hash: Uint8Array,
  completed: number | undefined,
  nowSeconds: number,
  atLeast = false,
): boolean | undefined {
  const bytes = bytesOf(hash)
  return inStripe(engine, bytes, (arena, stripe, found, hashed) => {
    const torrent = found || addTorrent(arena, stripe, hashed, bytes.view, 0, engine.hashKey)
    if (torrent === 0) return undefined
    if (found === 0) touchTorrent(arena, torrent, nowSeconds)
    setTorrentFlags(arena, torrent, torrentFlags(arena, torrent) | TorrentFlag.kept)
    if (completed !== undefined && !(atLeast && torrentCompleted(arena, torrent) >= completed)) {
      arena.u32[(torrent + TORRENT_COMPLETED) >> 2] = completed
    }
    return found !== 0
  })
}

/** Takes a torrent out with all its peers. Returns whether it was there. */
export function deleteTorrent(engine: Engine, hash: Uint8Array): boolean {
  for (let before = false; ; before = true) {
    const left = inStripe(engine, bytesOf(hash), (arena, stripe, torrent, hashed) => {
      if (torrent === 0) return -1
      let most = REMOVALS_MAX
      for (let family = 0; family < FAMILY_COUNT; family++) {
        const list = listOf(arena, torrent, family)
        for (let slot = peerCount(arena, list) - 1; slot >= 0 && most > 0; slot--, most--) {
          removePeer(arena, stripe, torrent, family, slot, engine.hashKey)
        }
      }
      if (torrentPeers(arena, torrent) > 0) return torrentPeers(arena, torrent)
      removeTorrent(arena, stripe, torrent, hashed, engine.hashKey)
      return 0
    })
    if (left === -1) return before
    if (left === 0) return true
  }
}

/** Notes the torrent as changed, where writing down its counts failed. */
export function noteTorrentChanged(engine: Engine, hash: Uint8Array): void {
  inStripe(engine, bytesOf(hash), (arena, stripe, torrent) => {
    if (torrent !== 0) markChanged(arena, stripe, torrent)
  })
}

/** Lets go of what was kept of a torrent, so that the sweep forgets it if nobody announces. */
export function releaseTorrent(engine: Engine, hash: Uint8Array): void {
  inStripe(engine, bytesOf(hash), (arena, _, torrent) => {
    if (torrent !== 0) setTorrentFlags(arena, torrent, 0)
  })
}

/** A torrent's lists in the order in which they are read: seeders of all families, then leechers. */
const PHASES = [
  [Family.ipv4, true],
  [Family.ipv6, true],
  [Family.websocket, true],
  [Family.ipv4, false],
  [Family.ipv6, false],
  [Family.websocket, false],
] as const
const PHASE_SLOTS = 2 ** 32

/** Peers of a torrent from `cursor` on, `count` at most, and the cursor to go on with, -1 at the end. Begin with 0. */
export function readPeers(
  engine: Engine,
  hash: Uint8Array,
  cursor: number,
  count: number,
): { peers: PeerRecord[]; next: number } {
  return inStripe(engine, bytesOf(hash), (arena, _, torrent) => {
    const peers: PeerRecord[] = []
    if (torrent === 0) return { peers, next: -1 }
    let at = cursor
    for (;;) {
      const phase = Math.floor(at / PHASE_SLOTS)
      const [family, seeders] = PHASES[phase] ?? []
      if (family === undefined) return { peers, next: -1 }
      const list = listOf(arena, torrent, family)
      const first = seeders ? 0 : seederCount(arena, list)
      const end = seeders ? seederCount(arena, list) : peerCount(arena, list)
      const slot = first + (at % PHASE_SLOTS)
      if (slot >= end) at = (phase + 1) * PHASE_SLOTS
      else if (peers.length === count) return { peers, next: at }
      else {
        peers.push(readPeer(arena, list, family, slot))
        at++
      }
    }
  })
}

const FAMILIES = [Family.ipv4, Family.ipv6, Family.websocket] as const

/** Ids of `count` of a torrent's peers, evenly spread, so that seeders, leechers and all families have their share. */
export function samplePeerIds(engine: Engine, hash: Uint8Array, count: number): Buffer[] {
  return inStripe(engine, bytesOf(hash), (arena, _, torrent) => {
    const ids: Buffer[] = []
    if (torrent === 0) return ids
    const peers = torrentPeers(arena, torrent)
    const step = Math.max(1, peers / count)
    let before = 0
    for (const family of FAMILIES) {
      const list = listOf(arena, torrent, family)
      const end = before + peerCount(arena, list)
      for (let at = ids.length * step; at < end; at = ids.length * step) {
        const id = detailAt(arena, list, family, Math.floor(at) - before) + DETAIL_PEER_ID
        ids.push(Buffer.from(arena.u8.slice(id, id + 20)))
      }
      before = end
    }
    return ids
  })
}

function readPeer(arena: Arena, list: number, family: Family, slot: number): PeerRecord {
  const compact = compactAt(arena, list, family, slot)
  const detail = detailAt(arena, list, family, slot)
  const width = PEER_WIDTH[family]
  const copy = (at: number, bytes: number) => Buffer.from(arena.u8.slice(at, at + bytes))
  return {
    id: copy(detail + DETAIL_PEER_ID, 20),
    address:
      family === Family.websocket
        ? unmapped(copy(compact + CONNECTION_CLIENT, 16))
        : copy(compact, width - 2),
    port: copy(compact + width - 2, 2).readUInt16BE(),
    uploaded: copy(detail + DETAIL_UPLOADED, 6).readUIntLE(0, 6),
    downloaded: copy(detail + DETAIL_DOWNLOADED, 6).readUIntLE(0, 6),
    left: copy(detail + DETAIL_LEFT, 6).readUIntLE(0, 6),
    seen: lastSeen(arena, detail),
  }
}

export type ListedTorrent = TorrentCounts & { readonly hash: Buffer; readonly flags: number }

/** The torrents of a stripe whose counts changed since the last call. */
export function takeChangedTorrents(engine: Engine, number: number): ListedTorrent[] {
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const changed = (stripeHead(number, engine.arenas.length) + STRIPE_CHANGED) >> 2
  if (Atomics.exchange(arena.u32, changed, 0) === 0) return []
  const isChanged = ({ flags }: { flags: number }) => (flags & TorrentFlag.changed) !== 0
  return torrentsOfStripe(engine, number, isChanged, TorrentFlag.changed)
}

/** All torrents of a stripe that `pick` wants, as they are at this moment. `clear` are the flags to take from those. */
export function torrentsOfStripe(
  engine: Engine,
  number: number,
  pick: (counts: { peers: number; active: number; flags: number }) => boolean,
  clear = 0,
): ListedTorrent[] {
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  const found: ListedTorrent[] = []
  takeLock(arena, stripe)
  for (let place = 0; place < indexSize(arena, stripe); place++) {
    const torrent = torrentAt(arena, stripe, place)
    if (torrent === 0) continue
    const flags = torrentFlags(arena, torrent)
    const peers = torrentPeers(arena, torrent)
    if (!pick({ peers, active: torrentActive(arena, torrent), flags })) continue
    const at = torrent + TORRENT_HASH
    found.push({
      ...countsOf(arena, torrent),
      hash: Buffer.from(arena.u8.slice(at, at + 20)),
      flags,
    })
    if (clear !== 0) setTorrentFlags(arena, torrent, flags & ~clear)
  }
  releaseLock(arena, stripe)
  return found
}

/** Calls `visit` for each peer of a stripe that a user announced: its info hash, user, and when it was seen. */
export function eachUserPeer(
  engine: Engine,
  stripe: number,
  visit: (hash: Buffer, user: number, seen: number) => void,
): void {
  const cursor = createExportCursor(stripe)
  const out = bytesOf(new Uint8Array(2 * RECORD_BYTES_MAX))
  while (!cursor.done) {
    const end = exportPiece(engine, cursor, out, 0)
    for (let at = 0; at < end; ) {
      const ipv4 = recordPeers(out.view, at, 0)
      const ipv6 = recordPeers(out.view, at, 1)
      const hash = Buffer.from(out.u8.slice(at + RECORD_HASH, at + RECORD_HASH + 20))
      const lists = [
        [ipv4, at + RECORD_HEAD_BYTES + ipv4 * PEER_WIDTH[0]],
        [ipv6, at + recordBytes(ipv4, 0) + ipv6 * PEER_WIDTH[1]],
      ] as const
      for (const [count, details] of lists) {
        for (let n = 0; n < count; n++) {
          const detail = details + n * DETAIL_BYTES
          const user = ownerOf(out.view.getUint32(detail + DETAIL_USER, true))
          if (user !== 0) visit(hash, user, detailSeen(out.view, detail))
        }
      }
      at += recordBytes(ipv4, ipv6)
    }
  }
  eachWebsocketUserPeer(engine, stripe, visit)
}

/** WebSocket peers are not exported: they are few, and read at once. */
function eachWebsocketUserPeer(
  engine: Engine,
  number: number,
  visit: (hash: Buffer, user: number, seen: number) => void,
): void {
  const arena = engine.arenas[number % engine.arenas.length] as Arena
  const stripe = stripeHead(number, engine.arenas.length)
  takeLock(arena, stripe)
  for (let place = 0; place < indexSize(arena, stripe); place++) {
    const torrent = torrentAt(arena, stripe, place)
    if (torrent === 0) continue
    const list = listOf(arena, torrent, Family.websocket)
    for (let slot = peerCount(arena, list) - 1; slot >= 0; slot--) {
      const detail = detailAt(arena, list, Family.websocket, slot)
      const user = readOwner(arena, detail)
      const at = torrent + TORRENT_HASH
      if (user !== 0) visit(Buffer.from(arena.u8.slice(at, at + 20)), user, lastSeen(arena, detail))
    }
  }
  releaseLock(arena, stripe)
}
