import { type Bytes, bytesOf } from '../protocol/bytes.ts'
import { COMPACT_BYTES, FAMILIES, Family, HASH_BYTES } from '../protocol/records.ts'
import { eachTorrent } from './each-torrent.ts'
import { readExtra } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { createExportCursor, exportChunk } from './export-stripe.ts'
import { ownerIn, ownerOf } from './peer-owner.ts'
import { removeOwnedPeer } from './remove-peer.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import {
  DETAIL_BYTES,
  DETAIL_USER,
  STRIPE_CHANGED,
  StripeFlag,
  TORRENT_HASH,
  TORRENT_WRITTEN,
  TorrentFlag,
} from './tables/layout.ts'
import {
  detailAt,
  lastSeen,
  listOf,
  peerCount,
  torrentPeers,
  torrentSeeders,
} from './tables/peer-list.ts'
import { NO_TORRENT, type Slot, type TorrentRef } from './tables/references.ts'
import {
  type HeldStripe,
  holdStripe,
  holdStripeOf,
  passStripe,
  releaseStripe,
} from './tables/stripe.ts'
import {
  findTorrent,
  removeTorrent,
  setTorrentFlags,
  torrentActive,
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

/** Peers removed while a stripe's lock is held. */
const REMOVALS_MAX = 64

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
    passStripe(held)
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
  arena.u32[(head + STRIPE_CHANGED) >> 2] = state & ~StripeFlag.changed
  releaseStripe(held)
  if ((state & StripeFlag.changed) === 0) return []
  return listTorrents(engine, number, ({ isChanged }) => isChanged, TorrentFlag.changed)
}

/** All torrents of a stripe that `pick` accepts, each as it is when it is found. */
export function torrentsOfStripe(
  engine: Engine,
  number: number,
  pick: (state: TorrentState) => boolean,
): ListedTorrent[] {
  return listTorrents(engine, number, pick, 0)
}

/** Steps of `eachTorrent` that a listed torrent takes. */
const LISTED_STEPS = 8

/** Lists torrents of a stripe, and clears these flags of them. */
function listTorrents(
  engine: Engine,
  number: number,
  pick: (state: TorrentState) => boolean,
  clear: number,
): ListedTorrent[] {
  const { held } = engine
  const found: ListedTorrent[] = []
  const isRepeated = eachTorrent(held, number, torrent => {
    const { arena } = held
    const flags = torrentFlags(arena, torrent)
    const state = {
      peers: torrentPeers(arena, torrent),
      active: torrentActive(arena, torrent),
      isKept: (flags & TorrentFlag.kept) !== 0,
      isChanged: (flags & TorrentFlag.changed) !== 0,
    }
    if (!pick(state)) return LISTED_STEPS
    const at = torrent + TORRENT_HASH
    found.push({
      ...countsOf(engine, torrent),
      unwritten:
        (torrentCompleted(arena, torrent) - arena.u32[(torrent + TORRENT_WRITTEN) >> 2]!) | 0,
      hash: Buffer.from(arena.u8.slice(at, at + HASH_BYTES)),
      isKept: state.isKept,
    })
    if (clear !== 0) setTorrentFlags(arena, torrent, flags & ~clear)
    return LISTED_STEPS
  })
  if (!isRepeated) return found
  return [...new Map(found.map(torrent => [torrent.hash.toString('hex'), torrent])).values()]
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

/** WebSocket peers are not exported: they are few, and are read here. */
function eachWebsocketUserPeer(
  { held }: Engine,
  number: number,
  visit: (hash: Buffer, user: number, seen: number) => void,
): void {
  eachTorrent(held, number, torrent => {
    const { arena } = held
    const list = listOf(arena, torrent, Family.websocket)
    for (let slot = peerCount(arena, list) - 1; slot >= 0; slot--) {
      const detail = detailAt(arena, list, Family.websocket, slot as Slot)
      const user = ownerOf(arena, detail)
      if (user === 0) continue
      const at = torrent + TORRENT_HASH
      const hash = Buffer.from(arena.u8.slice(at, at + HASH_BYTES))
      visit(hash, user, lastSeen(arena, detail))
    }
    return 1 + peerCount(arena, list)
  })
}
