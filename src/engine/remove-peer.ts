import type { Family } from '../protocol/records.ts'
import { detachEndpoint } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { compactAt, detailAt, listOf } from './tables/peer-list.ts'
import type { Slot, TorrentRef } from './tables/references.ts'
import { removePeer } from './tables/swarm.ts'

/** Removes a peer from the held stripe, and its address from the session that it belongs to. */
export function removeOwnedPeer(
  engine: Engine,
  torrent: TorrentRef,
  family: Family,
  slot: Slot,
): void {
  const { held } = engine
  if (engine.access.rules.users) {
    const list = listOf(held.arena, torrent, family)
    const compact = compactAt(held.arena, list, family, slot)
    detachEndpoint(engine, torrent, family, compact, detailAt(held.arena, list, family, slot))
  }
  removePeer(held, torrent, family, slot)
}
