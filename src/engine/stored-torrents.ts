import { bytesOf } from '../protocol/bytes.ts'
import { FAMILIES } from '../protocol/records.ts'
import type { Engine } from './engine.ts'
import { inStripe } from './inspect.ts'
import { readPeer } from './read-peers.ts'
import { stripeHead } from './tables/arena.ts'
import {
  COMPLETED_MAX,
  STRIPE_CHANGED,
  StripeFlag,
  TORRENT_COMPLETED,
  TORRENT_WRITTEN,
  TorrentFlag,
} from './tables/layout.ts'
import { listOf, peerCount } from './tables/peer-list.ts'
import { NO_TORRENT, type Slot } from './tables/references.ts'
import {
  addTorrent,
  markChanged,
  setTorrentFlags,
  torrentCompleted,
  torrentFlags,
  touchTorrent,
} from './tables/torrents.ts'

/**
 * Torrents whose counts the database has. When memory is full, such a torrent may leave it while it
 * has no peers. The next announce of it brings the counts back from the database.
 */

/**
 * Adds a torrent, which then stays without peers, or sets its completed count to that of the
 * database; with `atLeast` a higher count stays. Returns whether the torrent existed before;
 * undefined if memory is full.
 */
export function putTorrent(
  engine: Engine,
  hash: Uint8Array,
  completed: number | undefined,
  nowSeconds: number,
  atLeast = false,
): boolean | undefined {
  const bytes = bytesOf(hash)
  return inStripe(engine, bytes, (held, found, hashed) => {
    const { arena } = held
    const torrent = found || addTorrent(held, hashed, bytes.view, 0)
    if (torrent === NO_TORRENT) {
      arena.u32[(held.head + STRIPE_CHANGED) >> 2]! |= StripeFlag.forgotten
      return undefined
    }
    if (found === NO_TORRENT) touchTorrent(arena, torrent, nowSeconds)
    setTorrentFlags(arena, torrent, torrentFlags(arena, torrent) | TorrentFlag.kept)
    if (completed !== undefined && !(atLeast && torrentCompleted(arena, torrent) >= completed)) {
      arena.u32[(torrent + TORRENT_COMPLETED) >> 2] = completed
    }
    if (completed !== undefined) {
      // A snapshot may have more. Where several nodes credit users, the sessions have it as well.
      const isOfSessions = atLeast && engine.sessions.runs !== undefined
      const written = isOfSessions ? torrentCompleted(arena, torrent) : completed
      arena.u32[(torrent + TORRENT_WRITTEN) >> 2] = written
    }
    return found !== NO_TORRENT
  })
}

/** Marks the torrent as changed again, after its counts could not be written to the database. */
export function noteTorrentChanged(engine: Engine, hash: Uint8Array): void {
  inStripe(engine, bytesOf(hash), (held, torrent) => {
    if (torrent !== NO_TORRENT) markChanged(held, torrent)
  })
}

/**
 * Notes that `downloads` were added to the completed count of the database. A count that was set
 * meanwhile is corrected by the next write.
 */
export function noteWritten(engine: Engine, hash: Uint8Array, downloads: number): void {
  inStripe(engine, bytesOf(hash), (held, torrent) => {
    if (torrent === NO_TORRENT) return
    const { u32 } = held.arena
    u32[(torrent + TORRENT_WRITTEN) >> 2]! += downloads
    const isWritten =
      u32[(torrent + TORRENT_WRITTEN) >> 2] === torrentCompleted(held.arena, torrent)
    if (!isWritten) markChanged(held, torrent)
  })
}

/**
 * Clears the flags of a torrent that was removed from the database, so that a sweep removes it once
 * it has no peers.
 */
export function releaseTorrent(engine: Engine, hash: Uint8Array): void {
  inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    if (torrent === NO_TORRENT) return
    setTorrentFlags(arena, torrent, 0)
    arena.u32[(torrent + TORRENT_WRITTEN) >> 2] = 0
  })
}

/**
 * Adds the completed count that the database has of a torrent to the downloads counted since memory
 * forgot it. Returns the sum; undefined if the torrent does not exist, or was known all along.
 */
export function restoreTorrent(
  engine: Engine,
  hash: Uint8Array,
  completed: number,
): number | undefined {
  return inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    if (torrent === NO_TORRENT) return undefined
    const flags = torrentFlags(arena, torrent)
    if ((flags & TorrentFlag.kept) !== 0) return undefined
    // Downloads that others write may be part of the stored count.
    const own =
      (torrentCompleted(arena, torrent) - arena.u32[(torrent + TORRENT_WRITTEN) >> 2]!) | 0
    const sum = Math.min(COMPLETED_MAX, completed + own)
    arena.u32[(torrent + TORRENT_COMPLETED) >> 2] = sum
    arena.u32[(torrent + TORRENT_WRITTEN) >> 2] = completed
    setTorrentFlags(arena, torrent, flags | TorrentFlag.kept)
    return sum
  })
}

/** Whether the torrent has peers of more than one IPv4 address, IPv6 /64 or WebSocket client. */
export function isShared(engine: Engine, hash: Uint8Array): boolean {
  return inStripe(engine, bytesOf(hash), ({ arena }, torrent) => {
    if (torrent === NO_TORRENT) return false
    let first: string | undefined
    for (const family of FAMILIES) {
      const list = listOf(arena, torrent, family)
      for (let slot = peerCount(arena, list) - 1; slot >= 0; slot--) {
        const { address } = readPeer(arena, list, family, slot as Slot)
        const source = address.subarray(0, 8).toString('hex')
        if (first !== undefined && source !== first) return true
        first = source
      }
    }
    return false
  })
}

/** Whether the database may have torrents of the stripe that memory does not have. */
export function hasForgotten({ arenas }: Engine, number: number): boolean {
  const { u32 } = arenas[number % arenas.length]!
  const state = u32[(stripeHead(number, arenas.length) + STRIPE_CHANGED) >> 2]!
  return (state & StripeFlag.forgotten) !== 0
}
