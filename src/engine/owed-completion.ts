import { EVENT, Event, INFO_HASH } from '../protocol/records.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { findPeerOf } from './tables/find-peer.ts'
import { COMPLETION_OWED, DETAIL_USER } from './tables/layout.ts'
import { detailAt, isCompletionOwed, listOf, seederCount } from './tables/peer-list.ts'
import { NO_SLOT, type TorrentRef } from './tables/references.ts'
import { holdStripeOf, releaseStripe } from './tables/stripe.ts'
import { findTorrent } from './tables/torrents.ts'

/** Downloads whose `completed` was refused, by a rate limit for example. */

/**
 * Marks a known leecher whose `completed` is refused, so that it counts when the client returns as
 * a seeder, which it then does without the event.
 */
export function rememberCompleted(engine: Engine, announce: Announce): void {
  const { held } = engine
  const { request, at, peer } = announce
  if (request.u8[at + EVENT] !== Event.completed || !peer.seeder) return
  holdStripeOf(held, announce.hash)
  const torrent = findTorrent(held, announce.hash, request.view, at + INFO_HASH)
  const detail = leecherDetail(engine, announce, torrent)
  if (detail !== 0) {
    const { u16 } = held.arena
    u16[(detail + DETAIL_USER + 2) >> 1]! |= COMPLETION_OWED >>> 16
  }
  releaseStripe(held)
}

/**
 * Whether the announce is of a seeder that is a marked leecher in the torrent. The caller holds the
 * stripe.
 */
export function isOwedCompletion(engine: Engine, announce: Announce, torrent: TorrentRef): boolean {
  if (!announce.peer.seeder) return false
  const detail = leecherDetail(engine, announce, torrent)
  return detail !== 0 && isCompletionOwed(engine.held.arena, detail)
}

/** Offset of the details of the announcing peer; 0 if the torrent does not have it as a leecher. */
function leecherDetail({ held }: Engine, { peer }: Announce, torrent: TorrentRef): number {
  const { arena } = held
  const slot = findPeerOf(held, torrent, peer)
  if (slot === NO_SLOT) return 0
  const list = listOf(arena, torrent, peer.family)
  if (slot < seederCount(arena, list)) return 0
  return detailAt(arena, list, peer.family, slot)
}
