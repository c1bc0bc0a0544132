import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { touchSession } from './session-layout.ts'
import { readAhead } from './tables/torrents.ts'

/**
 * Reads, without a lock, the memory in which the torrent and the session of the announce probably
 * lie, so that the processor loads both at the same time. No later load passes the atomic operation
 * of a lock, so otherwise it would wait for one after the other. The values are not used; another
 * thread may be changing them.
 */
export function touchAnnounce(engine: Engine, { hash }: Announce): void {
  const { access, held, sessions } = engine
  // Stored, so that the compiler does not remove the reads.
  engine.touched = readAhead(held, hash) ^ touchSession(sessions, access.user, hash)
}
