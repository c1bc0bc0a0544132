import {
  type LedgerRow,
  mergeTorrent,
  type SessionRow,
  type UserChange,
} from '../database/ledger-rows.ts'
import type { ChangedSession } from '../engine/session-batch.ts'

/** The change of a user by one session. */
export function changeOf(user: string, session: ChangedSession): UserChange {
  return session.totals
    ? sharedChangeOf(user, session, session.totals)
    : singleChangeOf(user, session)
}

/** Where several nodes write, the write computes the growth. */
function sharedChangeOf(
  user: string,
  { hash, peerId }: ChangedSession,
  totals: NonNullable<ChangedSession['totals']>,
): UserChange {
  return {
    user,
    uploaded: 0n,
    downloaded: 0n,
    completed: 0,
    updated: totals.seen,
    torrents: new Map(),
    sessions: new Map(),
    shared: new Map([[hash + peerId, { ...totals, user, hash, peerId }]]),
  }
}

function singleChangeOf(user: string, session: ChangedSession): UserChange {
  const { hash, peerId } = session
  const torrent: LedgerRow = {
    user,
    hash,
    uploaded: BigInt(session.newUp),
    downloaded: BigInt(session.newDown),
    creditedUp: BigInt(session.creditUp),
    creditedDown: BigInt(session.creditDown),
    idleUp: BigInt(session.idleUp),
    seeding: session.seeding,
    completed: session.completed,
    left: session.left,
    first: session.first,
    last: session.seen,
    completedAt: session.completed > 0 ? session.seen : 0,
  }
  const stored: SessionRow = {
    user,
    hash,
    peerId,
    uploaded: session.uploaded,
    downloaded: session.downloaded,
    finalUp: session.finalUp,
    finalDown: session.finalDown,
    left: session.left,
    restarted: session.restarted,
    first: session.first,
    seen: session.seen,
    state: session.state,
  }
  return {
    user,
    uploaded: torrent.creditedUp,
    downloaded: torrent.creditedDown,
    completed: session.completed,
    updated: session.seen,
    torrents: new Map([[hash, torrent]]),
    sessions: new Map([[hash + peerId, stored]]),
  }
}

/** Adds `next`, which is newer, to `change`. */
export function mergeChange(change: UserChange, next: UserChange): void {
  change.uploaded += next.uploaded
  change.downloaded += next.downloaded
  change.completed += next.completed
  change.updated = Math.max(change.updated, next.updated)
  for (const [key, session] of next.sessions) change.sessions.set(key, session)
  for (const [key, session] of next.shared ?? []) change.shared?.set(key, session)
  for (const [hash, torrent] of next.torrents) {
    const known = change.torrents.get(hash)
    if (!known) change.torrents.set(hash, torrent)
    else mergeTorrent(known, torrent)
  }
}
