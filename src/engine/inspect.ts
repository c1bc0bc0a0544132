import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { unmapped } from '../protocol/ip.ts'
import {
  COMPACT_BYTES,
  CONNECTION_CLIENT,
  FAMILIES,
  Family,
  HASH_BYTES,
  IP_BYTES_MAX,
  PORT_BYTES,
} from '../protocol/records.ts'
import { readExtra } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { createExportCursor, exportChunk } from './export-stripe.ts'
import { ownerIn, ownerOf } from './peer-owner.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import type { Arena } from './tables/arena.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  DETAIL_BYTES,
  DETAIL_DOWNLOADED,
  DETAIL_LEFT,
  DETAIL_PEER_ID,
  DETAIL_UPLOADED,
  DETAIL_USER,
  STRIPE_CHANGED,
  StripeFlag,
  TORRENT_HASH,
  TORRENT_WRITTEN,
  TorrentFlag,
} from './tables/layout.ts'
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
import { type ListRef, NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import { type HeldStripe, holdStripe, holdStripeOf, releaseStripe } from './tables/stripe.ts'
import {
  findTorrent,
  indexSize,
  removeTorrent,
  setTorrentFlags,
  torrentActive,
  torrentAt,
  torrentCompleted,
  torrentFlags,
} from './tables/torrents.ts'
import {
  detailSeen,
  RECORD_BYTES_MAX,
  RECORD_HASH,
  RECORD_HEAD_BYTES,
  recordBytes,
  recordPeers,
} from './torrent-record.ts'

/** The door for the admin module to the swarms. Each call holds a stripe for a bounded time. */

export type TorrentCounts = {
  readonly seeders: number
  readonly leechers: number
  readonly completed: number
  /** Unix seconds of the last announce. */
  readonly active: number
}

export type PeerRecord = {
  readonly id: Buffer
  /** 4 or 16 bytes. A WebSocket peer has the address of its client, and port 0. */
  readonly address: Buffer
  readonly port: number
  readonly uploaded: number
  readonly downloaded: number
  readonly left: number
  /** Unix seconds. */
  readonly seen: number
}

/** Peers removed while a stripe's lock is held. */
const REMOVALS_MAX = 512

/**
 * Runs `work` with the stripe held that a torrent of this info hash belongs to. `torrent` is
 * NO_TORRENT when the torrent does not exist; `hashed` is the keyed hash.
 */
export function inStripe<Result>(
  { held }: Engine,
  hash: Bytes,
  work: (held: HeldStripe, torrent: TorrentRef, hashed: number) => Result,
): Result {
  const hashed = hashInfoHash(held.hashKey, hash.view, 0)
  holdStripeOf(held, hashed)
  try {
    return work(held, findTorrent(held, hashed, hash.view, 0), hashed)
  } finally {
    releaseStripe(held)
  }
}

/** The counts of a torrent of the held stripe, in which a session counts once. */
function countsOf(engine: Engine, torrent: TorrentRef): TorrentCounts {
  const { arena, hashKey } = engine.held
  const seeders = torrentSeeders(arena, torrent)
  const leechers = torrentPeers(arena, torrent) - seeders
  const at = torrent + TORRENT_HASH
  const { users } = engine.access.rules
  const hash = users ? hashInfoHash(hashKey, arena.view, at) : 0
  const extra = readExtra(engine, hash, arena.view, at)
  return {
    seeders: seeders - extra.seeders,
    leechers: leechers - extra.leechers,
    completed: torrentCompleted(arena, torrent),
    active: torrentActive(arena, torrent),
  }
}

export function readTorrent(engine: Engine, hash: Uint8Array): TorrentCounts | undefined {
  return inStripe(engine, bytesOf(hash), (_, torrent) =>
    torrent === NO_TORRENT ? undefined : countsOf(engine, torrent),
  )
}

/** Removes a torrent with all its peers. Returns whether it existed. */
export function deleteTorrent(engine: Engine, hash: Uint8Array): boolean {
  for (let before = false; ; before = true) {
    const left = inStripe(engine, bytesOf(hash), (held, torrent, hashed) => {
      const { arena } = held
      if (torrent === NO_TORRENT) return -1
      let most = REMOVALS_MAX
      for (const family of FAMILIES) {
        const list = listOf(arena, torrent, family)
        for (let slot = peerCount(arena, list) - 1; slot >= 0 && most > 0; slot--, most--) {
          removeOwnedPeer(engine, torrent, family, slot as Slot)
        }
      }
      if (torrentPeers(arena, torrent) > 0) return torrentPeers(arena, torrent)
      removeTorrent(held, torrent, hashed)
      return 0
    })
    if (left === -1) return before
    if (left === 0) return true
  }
}

/** Order in which a torrent's peers are read: the seeders of all families, then the leechers. */
const PHASES = [
  [Family.ipv4, true],
  [Family.ipv6, true],
  [Family.websocket, true],
  [Family.ipv4, false],
  [Family.ipv6, false],
  [Family.websocket, false],
] as const
const PHASE_SLOTS = 2 ** 32

/**
 * Reads at most `count` peers of a torrent from `cursor` on; the first cursor is 0. Also returns
 * the next cursor, -1 at the end.
 */
export function readPeers(
  engine: Engine,
  hash: Uint8Array,
  cursor: number,
  count: number,
): { peers: PeerRecord[]; next: number } {
  return inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    const peers: PeerRecord[] = []
    if (torrent === NO_TORRENT) return { peers, next: -1 }
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
        peers.push(readPeer(arena, list, family, slot as Slot))
        at++
      }
    }
  })
}

/** Ids of `count` peers of a torrent, spread evenly over seeders, leechers and all families. */
export function samplePeerIds(engine: Engine, hash: Uint8Array, count: number): Buffer[] {
  return inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    const ids: Buffer[] = []
    if (torrent === NO_TORRENT) return ids
    const peers = torrentPeers(arena, torrent)
    const step = Math.max(1, peers / count)
    let before = 0
    for (const family of FAMILIES) {
      const list = listOf(arena, torrent, family)
      const end = before + peerCount(arena, list)
      for (let at = ids.length * step; at < end; at = ids.length * step) {
        const slot = (Math.floor(at) - before) as Slot
        const id = detailAt(arena, list, family, slot) + DETAIL_PEER_ID
        ids.push(Buffer.from(arena.u8.slice(id, id + HASH_BYTES)))
      }
      before = end
    }
    return ids
  })
}

export function readPeer(arena: Arena, list: ListRef, family: Family, slot: Slot): PeerRecord {
  const compact = compactAt(arena, list, family, slot)
  const detail = detailAt(arena, list, family, slot)
  const width = COMPACT_BYTES[family]
  const copy = (at: number, bytes: number) => Buffer.from(arena.u8.slice(at, at + bytes))
  return {
    id: copy(detail + DETAIL_PEER_ID, HASH_BYTES),
    address:
      family === Family.websocket
        ? unmapped(copy(compact + CONNECTION_CLIENT, IP_BYTES_MAX))
        : copy(compact, width - PORT_BYTES),
    port: copy(compact + width - PORT_BYTES, PORT_BYTES).readUInt16BE(),
    uploaded: copy(detail + DETAIL_UPLOADED, 6).readUIntLE(0, 6),
    downloaded: copy(detail + DETAIL_DOWNLOADED, 6).readUIntLE(0, 6),
    left: copy(detail + DETAIL_LEFT, 6).readUIntLE(0, 6),
    seen: lastSeen(arena, detail),
  }
}

export type ListedTorrent = TorrentCounts & {
  readonly hash: Buffer
  /** Downloads that the database does not have yet; negative after it was set lower. */
  readonly unwritten: number
  /** Whether the torrent stays when it has no peers. */
  readonly isKept: boolean
}

/** Argument of the filter of `torrentsOfStripe`. */
export type TorrentState = {
  readonly peers: number
  /** Unix seconds of the last announce. */
  readonly active: number
  readonly isKept: boolean
  readonly isChanged: boolean
}

/** The torrents of a stripe whose counts changed since the last call. */
export function takeChangedTorrents(engine: Engine, number: number): ListedTorrent[] {
  const { held } = engine
  holdStripe(held, number)
  const { arena, head } = held
  const state = arena.u32[(head + STRIPE_CHANGED) >> 2]!
  const isStripeChanged = (state & StripeFlag.changed) !== 0
  arena.u32[(head + STRIPE_CHANGED) >> 2] = state & ~StripeFlag.changed
  const found = isStripeChanged
    ? listTorrents(engine, ({ isChanged }) => isChanged, TorrentFlag.changed)
    : []
  releaseStripe(held)
  return found
}

/** All torrents of a stripe that `pick` accepts, as they are at this moment. */
export function torrentsOfStripe(
  engine: Engine,
  number: number,
  pick: (state: TorrentState) => boolean,
): ListedTorrent[] {
  holdStripe(engine.held, number)
  const found = listTorrents(engine, pick, 0)
  releaseStripe(engine.held)
  return found
}

/** Lists torrents of the held stripe, and clears these flags of them. */
function listTorrents(
  engine: Engine,
  pick: (state: TorrentState) => boolean,
  clear: number,
): ListedTorrent[] {
  const { held } = engine
  const { arena } = held
  const found: ListedTorrent[] = []
  for (let place = 0; place < indexSize(held); place++) {
    const torrent = torrentAt(held, place)
    if (torrent === NO_TORRENT) continue
    const flags = torrentFlags(arena, torrent)
    const state = {
      peers: torrentPeers(arena, torrent),
      active: torrentActive(arena, torrent),
      isKept: (flags & TorrentFlag.kept) !== 0,
      isChanged: (flags & TorrentFlag.changed) !== 0,
    }
    if (!pick(state)) continue
    const at = torrent + TORRENT_HASH
    found.push({
      ...countsOf(engine, torrent),
      unwritten:
        (torrentCompleted(arena, torrent) - arena.u32[(torrent + TORRENT_WRITTEN) >> 2]!) | 0,
      hash: Buffer.from(arena.u8.slice(at, at + HASH_BYTES)),
      isKept: state.isKept,
    })
    if (clear !== 0) setTorrentFlags(arena, torrent, flags & ~clear)
  }
  return found
}

/**
 * Calls `visit` for each peer of a stripe that has a user: info hash, user number, last announce.
 */
export function eachUserPeer(
  engine: Engine,
  stripe: number,
  visit: (hash: Buffer, user: number, seen: number) => void,
): void {
  const cursor = createExportCursor(stripe)
  const out = bytesOf(new Uint8Array(2 * RECORD_BYTES_MAX))
  while (!cursor.done) {
    const end = exportChunk(engine, cursor, out, 0)
    for (let at = 0; at < end; ) {
      const ipv4 = recordPeers(out.view, at, Family.ipv4)
      const ipv6 = recordPeers(out.view, at, Family.ipv6)
      const hash = Buffer.from(out.u8.slice(at + RECORD_HASH, at + RECORD_HASH + HASH_BYTES))
      const lists = [
        [ipv4, at + RECORD_HEAD_BYTES + ipv4 * COMPACT_BYTES[Family.ipv4]],
        [ipv6, at + recordBytes(ipv4, 0) + ipv6 * COMPACT_BYTES[Family.ipv6]],
      ] as const
      for (const [count, details] of lists) {
        for (let n = 0; n < count; n++) {
          const detail = details + n * DETAIL_BYTES
          const user = ownerIn(out.view.getUint32(detail + DETAIL_USER, true))
          if (user !== 0) visit(hash, user, detailSeen(out.view, detail))
        }
      }
      at += recordBytes(ipv4, ipv6)
    }
  }
  eachWebsocketUserPeer(engine, stripe, visit)
}

/** WebSocket peers are not exported: they are few, and are read at once. */
function eachWebsocketUserPeer(
  { held }: Engine,
  number: number,
  visit: (hash: Buffer, user: number, seen: number) => void,
): void {
  holdStripe(held, number)
  const { arena } = held
  for (let place = 0; place < indexSize(held); place++) {
    const torrent = torrentAt(held, place)
    if (torrent === NO_TORRENT) continue
    const list = listOf(arena, torrent, Family.websocket)
    for (let slot = peerCount(arena, list) - 1; slot >= 0; slot--) {
      const detail = detailAt(arena, list, Family.websocket, slot as Slot)
      const user = ownerOf(arena, detail)
      if (user === 0) continue
      const at = torrent + TORRENT_HASH
      const hash = Buffer.from(arena.u8.slice(at, at + HASH_BYTES))
      visit(hash, user, lastSeen(arena, detail))
    }
  }
  releaseStripe(held)
}
