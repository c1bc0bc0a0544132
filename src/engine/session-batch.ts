import { HASH_BYTES } from '../protocol/records.ts'
import type { SessionCounts } from '../protocol/session-counts.ts'
import { createSessionTotals, type SessionTotals } from '../protocol/session-totals.ts'
import type { Engine } from './engine.ts'
import {
  PARTITIONS,
  SESSION_DOWNLOADED,
  SESSION_FINAL_DOWN,
  SESSION_FINAL_UP,
  SESSION_FIRST,
  SESSION_HASH,
  SESSION_LEFT,
  SESSION_NEW_COMPLETED,
  SESSION_NEW_CREDIT_DOWN,
  SESSION_NEW_CREDIT_UP,
  SESSION_NEW_DOWN,
  SESSION_NEW_IDLE_UP,
  SESSION_NEW_SEEDING,
  SESSION_NEW_UP,
  SESSION_PEER_ID,
  SESSION_RESTARTED,
  SESSION_SEEN,
  SESSION_STATE,
  SESSION_UPLOADED,
  SESSION_USER,
  SessionState,
  type Sessions,
} from './session-layout.ts'
import {
  addSession,
  eachSession,
  expireSessions,
  holdSession,
  markSession,
  releaseSession,
  sessionCounts,
  sortByAge,
  takeChanged,
} from './sessions.ts'
import { readTotals, writeTotals } from './shared-sessions.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'

/**
 * The door for the admin module to the sessions: changes to write, and stored sessions to restore.
 */

/** A session that changed, and what it adds to its user and torrent since the last call. */
export type ChangedSession = SessionCounts & {
  /** Number of the user record. */
  readonly user: number
  readonly newUp: number
  readonly newDown: number
  readonly creditUp: number
  readonly creditDown: number
  readonly idleUp: number
  readonly seeding: number
  readonly completed: number
  /** Where several nodes credit users: the same as totals, which stay. */
  readonly totals?: SessionTotals
}

export const SESSION_PARTITIONS = PARTITIONS

/**
 * Returns the changed sessions of a partition, of all users or those in `only`, and resets what
 * they add to 0. Where several nodes credit users these are totals, which stay. Then `mustWait` is
 * called for changes that came from another node, with the user and the last announce in Unix
 * seconds: a session for which it returns true stays marked.
 */
export function takeSessions(
  { sessions }: Engine,
  partition: number,
  only?: ReadonlySet<number>,
  mustWait?: (user: number, seen: number) => boolean,
): ChangedSession[] {
  const found: ChangedSession[] = []
  takeChanged(sessions, partition, session => {
    const { u32 } = sessions
    const user = u32[(session + SESSION_USER) >> 2]!
    if (only && !only.has(user)) return false
    const isElsewhere = (u32[(session + SESSION_STATE) >> 2]! & SessionState.elsewhere) !== 0
    if (isElsewhere && mustWait?.(user, u32[(session + SESSION_SEEN) >> 2]!)) return false
    found.push(takeSession(sessions, session))
    return true
  })
  return found
}

/** The numbers of users with sessions that wait to be written. */
export function changedUsers({ sessions }: Engine): Set<number> {
  const users = new Set<number>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    takeChanged(sessions, partition, session => {
      users.add(sessions.u32[(session + SESSION_USER) >> 2]!)
      return false
    })
  }
  return users
}

function takeSession(sessions: Sessions, session: number): ChangedSession {
  const { u32, f64, runs } = sessions
  const take = (table: Uint32Array | Float64Array, word: number): number => {
    const value = table[word]!
    if (!runs) table[word] = 0
    return value
  }
  return {
    user: u32[(session + SESSION_USER) >> 2]!,
    hash: hexAt(sessions, session + SESSION_HASH),
    peerId: hexAt(sessions, session + SESSION_PEER_ID),
    uploaded: f64[(session + SESSION_UPLOADED) >> 3]!,
    downloaded: f64[(session + SESSION_DOWNLOADED) >> 3]!,
    finalUp: f64[(session + SESSION_FINAL_UP) >> 3]!,
    finalDown: f64[(session + SESSION_FINAL_DOWN) >> 3]!,
    left: f64[(session + SESSION_LEFT) >> 3]!,
    restarted: u32[(session + SESSION_RESTARTED) >> 2]!,
    first: u32[(session + SESSION_FIRST) >> 2]!,
    seen: u32[(session + SESSION_SEEN) >> 2]!,
    state: u32[(session + SESSION_STATE) >> 2]! & ~SessionState.elsewhere,
    newUp: take(f64, (session + SESSION_NEW_UP) >> 3),
    newDown: take(f64, (session + SESSION_NEW_DOWN) >> 3),
    creditUp: take(f64, (session + SESSION_NEW_CREDIT_UP) >> 3),
    creditDown: take(f64, (session + SESSION_NEW_CREDIT_DOWN) >> 3),
    idleUp: take(f64, (session + SESSION_NEW_IDLE_UP) >> 3),
    seeding: take(u32, (session + SESSION_NEW_SEEDING) >> 2),
    completed: take(u32, (session + SESSION_NEW_COMPLETED) >> 2),
    ...(runs && { totals: totalsOf(sessions, session) }),
  }
}

function totalsOf(sessions: Sessions, session: number): SessionTotals {
  const totals = createSessionTotals()
  readTotals(sessions, session, totals)
  return totals
}

function hexAt({ u8 }: Sessions, at: number): string {
  return Buffer.from(u8.buffer, at, HASH_BYTES).toString('hex')
}

const keyBytes = Buffer.alloc(2 * HASH_BYTES)
const keyView = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length)

/**
 * Restores a stored session, unless it is known already; with its totals where several nodes credit
 * users. Returns false if the table is full.
 */
export function restoreSession(
  { sessions }: Engine,
  user: number,
  stored: SessionCounts & { readonly totals?: SessionTotals },
): boolean {
  keyBytes.write(stored.hash, 0, 'hex')
  keyBytes.write(stored.peerId, HASH_BYTES, 'hex')
  const hash = hashInfoHash(sessions.hashKey, keyView, 0)
  const key = { user, hash, view: keyView, hashAt: 0, idAt: HASH_BYTES }
  const known = holdSession(sessions, key)
  const session = known === 0 ? addSession(sessions, key) : 0
  const { u32, f64 } = sessions
  if (session !== 0) {
    f64[(session + SESSION_UPLOADED) >> 3] = stored.uploaded
    f64[(session + SESSION_DOWNLOADED) >> 3] = stored.downloaded
    f64[(session + SESSION_FINAL_UP) >> 3] = stored.finalUp
    f64[(session + SESSION_FINAL_DOWN) >> 3] = stored.finalDown
    f64[(session + SESSION_LEFT) >> 3] = stored.left
    u32[(session + SESSION_RESTARTED) >> 2] = stored.restarted
    u32[(session + SESSION_FIRST) >> 2] = stored.first
    u32[(session + SESSION_SEEN) >> 2] = stored.seen
    u32[(session + SESSION_STATE) >> 2] = stored.state
    if (sessions.runs) writeTotals(sessions, session, stored.totals ?? startOf(stored))
  }
  releaseSession(sessions)
  return known !== 0 || session !== 0
}

/** The totals of a session that was credited without any: its current counts are the base. */
function startOf(stored: SessionCounts): SessionTotals {
  const { hash, peerId, ...counts } = stored
  const { downloaded, uploaded } = counts
  return { ...createSessionTotals(), ...counts, baseUp: uploaded, baseDown: downloaded }
}

/** Clears the flags of a user's sessions in a partition. */
export function clearSessionFlags({ sessions }: Engine, partition: number, user: number): void {
  eachSession(sessions, partition, session => {
    const { u32 } = sessions
    const state = (session + SESSION_STATE) >> 2
    const isFlagged = (u32[state]! & SessionState.grewTooFast) !== 0
    if (!isFlagged || u32[(session + SESSION_USER) >> 2] !== user) return
    u32[state]! &= ~SessionState.grewTooFast
    markSession(sessions, session)
  })
}

/** Sorts restored sessions by age. */
export function orderSessions({ sessions }: Engine): void {
  for (let partition = 0; partition < PARTITIONS; partition++) sortByAge(sessions, partition)
}

/** Removes the sessions of a partition that were last seen before `limit`. Returns how many. */
export function expireSessionsOf({ sessions }: Engine, partition: number, limit: number): number {
  return expireSessions(sessions, partition, limit)
}

export function countSessions({ sessions }: Engine): ReturnType<typeof sessionCounts> {
  return sessionCounts(sessions)
}
