import { DOWNLOADED, EVENT, Event, readU64, UPLOADED, writeU64 } from '../protocol/records.ts'
import type { Access } from './access.ts'
import type { Announce } from './current-announce.ts'
import type { Arena } from './tables/arena.ts'
import {
  DETAIL_DOWNLOADED,
  DETAIL_UPLOADED,
  DETAIL_USER,
  USER_NUMBER_BITS,
} from './tables/layout.ts'
import { lastSeen } from './tables/peer-list.ts'
import { creditUser } from './user-records.ts'

/**
 * What users are credited with. A client counts from the start of its session, so a user is credited
 * with the growth of the counts of one peer (one torrent, peer id and address) over the highest ones
 * that it has reported: a repeated announce, a late one and one with lower counts give nothing, and
 * nothing is credited twice. The first announce of a peer gives nothing either, because the tracker
 * cannot know how much of its counts is credited already. `stopped` credits the rest and removes the
 * peer, so that a second one finds nothing.
 */

/**
 * Counts that fall begin a new session only with `started`, and only this many seconds after the last
 * announce of the peer: before that it is the first `started` again, repeated or delayed.
 */
export const RESTART_SECONDS = 60

/**
 * Credits the user of the announce. `detail` is the offset of the peer's details before the announce,
 * 0 for a new peer. Raises the counts in the announce to the highest ones reported, which are stored
 * then.
 */
export function accountPeer(
  access: Access,
  arena: Arena,
  detail: number,
  { request, at, nowSeconds }: Announce,
  completed: boolean,
): void {
  const { view } = request
  const { user, credit } = access
  let uploaded = 0
  let downloaded = 0
  if (detail !== 0 && isOwner(arena, detail, user)) {
    const beforeUp = readU48(arena, detail + DETAIL_UPLOADED)
    const beforeDown = readU48(arena, detail + DETAIL_DOWNLOADED)
    const up = readU64(view, at + UPLOADED)
    const down = readU64(view, at + DOWNLOADED)
    const restarted =
      (up < beforeUp || down < beforeDown) &&
      request.u8[at + EVENT] === Event.started &&
      nowSeconds - lastSeen(arena, detail) >= RESTART_SECONDS
    if (!restarted) {
      uploaded = Math.max(0, up - beforeUp)
      downloaded = Math.max(0, down - beforeDown)
      writeU64(view, at + UPLOADED, beforeUp + uploaded)
      writeU64(view, at + DOWNLOADED, beforeDown + downloaded)
    }
  }
  credit.uploaded = uploaded
  credit.downloaded = downloaded
  credit.completed = completed ? 1 : 0
  credit.nowSeconds = nowSeconds
  creditUser(access.users, user, credit)
}

/** A peer restored from a snapshot has no owner until its user announces it again. */
function isOwner(arena: Arena, detail: number, user: number): boolean {
  const owner = readOwner(arena, detail)
  return owner === user || owner === 0
}

export function readOwner(arena: Arena, detail: number): number {
  const at = (detail + DETAIL_USER) >> 1
  return ownerOf(arena.u16[at]! | (arena.u16[at + 1]! << 16))
}

/** The user's number in a word of DETAIL_USER. */
export function ownerOf(word: number): number {
  return word & USER_NUMBER_BITS
}

function readU48(arena: Arena, at: number): number {
  return arena.view.getUint32(at, true) + arena.view.getUint16(at + 4, true) * 0x1_0000_0000
}
