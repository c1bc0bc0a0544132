import { Failure } from '../protocol/failures.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { chainFirst, chainNext, SESSION_ENDPOINTS } from './session-layout.ts'
import { hasOtherDownload, isSibling } from './siblings.ts'
import { downloadingOf } from './user-records.ts'

/**
 * How many peers a user may have in a torrent, and how many torrents a user may download at once.
 * The sessions of a user in a torrent are in one chain, so that they are counted without an index.
 * A session counts while it has a peer in the swarm, once for all its addresses.
 */

/** The limit that refuses the held session a first peer; `Failure.none` if none does. */
export function slotRefusal(engine: Engine, { peer }: Announce, session: number): Failure {
  const { sessions, sessionKey: key, settings } = engine
  const { downloadsPerUser, peersPerUser } = settings.accounting
  if (peersPerUser > 0) {
    let peers = 0
    for (let other = chainFirst(sessions, key); other !== 0; other = chainNext(sessions, other)) {
      const isLive = sessions.u32[(other + SESSION_ENDPOINTS) >> 2] !== 0
      if (isLive && other !== session && isSibling(sessions, other, key)) peers++
    }
    if (peers >= peersPerUser) return Failure.tooManyUserPeers
  }
  if (downloadsPerUser === 0 || peer.seeder) return Failure.none
  if (downloadingOf(sessions.users, key.user) < downloadsPerUser) return Failure.none
  return hasOtherDownload(sessions, key, session) ? Failure.none : Failure.tooManyDownloads
}
