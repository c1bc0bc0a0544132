import type { Bytes } from '../protocol/bytes.ts'
import { DOWNLOADED, EVENT, Event, readU64, UPLOADED, writeU64 } from '../protocol/records.ts'
import type { Access } from './access.ts'
import type { Arena } from './tables/arena.ts'
import {
  COMPLETION_COUNTED,
  DETAIL_DOWNLOADED,
  DETAIL_UPLOADED,
  DETAIL_USER,
} from './tables/layout.ts'
import { lastSeen } from './tables/peer-list.ts'
import { creditUser } from './tables/users.ts'

/**
 * What users are credited with. A client counts from the start of its session, so a user is given what the counts of one peer (one torrent,
 * peer id and address) grew by since the highest that it has stated: a repeated announce, a late one and one that states less give nothing,
 * and what was given once is not given again. The first announce of a peer gives nothing either: nobody can tell how much of its counts the
 * user has had already. `stopped` gives the rest, and the peer is gone, so that a second one finds nothing.
 */

/**
 * Counts that fall begin a new session only with `started`, and only this many seconds after the peer was heard of: before that it is the
 * first `started` again, repeated or held up on its way.
 */
export const RESTART_SECONDS = 60

/**
 * Credits the user of the announce at `at` for the peer whose details lie at `detail`, as they were before it; 0 for a new peer. Raises the
 * announce's counts to the highest stated, for them to be kept.
 */
export function accountPeer(
  access: Access,
  arena: Arena,
  detail: number,
  request: Bytes,
  at: number,
  completed: boolean,
  nowSeconds: number,
): void {
  const { view } = request
  const { user } = access
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
  creditUser(access.users, user, uploaded, downloaded, completed ? 1 : 0, nowSeconds)
}

/** A peer that a snapshot brought back belongs to nobody until its user announces it again. */
function isOwner(arena: Arena, detail: number, user: number): boolean {
  const owner = readOwner(arena, detail)
  return owner === user || owner === 0
}

export function readOwner(arena: Arena, detail: number): number {
  const at = (detail + DETAIL_USER) >> 1
  return ownerOf((arena.u16[at] as number) | ((arena.u16[at + 1] as number) << 16))
}

/** The user's number in a word of DETAIL_USER. */
export function ownerOf(word: number): number {
  return word & ~COMPLETION_COUNTED
}

function readU48(arena: Arena, at: number): number {
  return arena.view.getUint32(at, true) + arena.view.getUint16(at + 4, true) * 0x1_0000_0000
}
