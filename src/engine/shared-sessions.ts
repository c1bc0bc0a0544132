import { INFO_HASH, PEER_ID } from '../protocol/records.ts'
import {
  createSessionTotals,
  isSameSession,
  joinSessions,
  type SessionTotals,
} from '../protocol/session-totals.ts'
import type { Announce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import { findFactors } from './factors.ts'
import {
  RUN_BASE_DOWN,
  RUN_BASE_UP,
  RUN_NUMBER,
  runAt,
  SESSION_AHEAD_DOWN,
  SESSION_AHEAD_UP,
  SESSION_DOWNLOADED,
  SESSION_FINAL_DOWN,
  SESSION_FINAL_UP,
  SESSION_FIRST,
  SESSION_LEFT,
  SESSION_NEW_COMPLETED,
  SESSION_NEW_CREDIT_DOWN,
  SESSION_NEW_CREDIT_UP,
  SESSION_NEW_DOWN,
  SESSION_NEW_IDLE_UP,
  SESSION_NEW_SEEDING,
  SESSION_NEW_UP,
  SESSION_RESTARTED,
  SESSION_SEEN,
  SESSION_STATE,
  SESSION_UPLOADED,
  type SessionKey,
  SessionState,
  type Sessions,
} from './session-layout.ts'
import { addSession, holdSession, isChanged, markSession, releaseSession } from './sessions.ts'
import { creditUser, ONE, UserFlag } from './user-records.ts'

/**
 * Sessions that several nodes credit. The counts that otherwise wait to be written are totals here
 * and never reset: the database adds what is above the stored ones. Runs of clients are in a table
 * of their own, so that sessions of a single node need no memory for them.
 */

/** Begins a run of the held session with the counts that it has now. */
export function beginRun(sessions: Sessions, session: number, isFirst: boolean): void {
  const { f64, runs } = sessions
  if (!runs) return
  const at = runAt(sessions, session)
  runs.f64[(at + RUN_BASE_UP) >> 3] = f64[(session + SESSION_UPLOADED) >> 3]!
  runs.f64[(at + RUN_BASE_DOWN) >> 3] = f64[(session + SESSION_DOWNLOADED) >> 3]!
  const run = (at + RUN_NUMBER) >> 2
  runs.u32[run] = isFirst ? 0 : Math.min(RUN_MAX, runs.u32[run]! + 1)
}

const RUN_MAX = 65_535

export function readTotals(sessions: Sessions, session: number, totals: SessionTotals): void {
  const { f32, f64, runs, u32 } = sessions
  const at = runAt(sessions, session)
  for (const [name, offset] of WIDE) totals[name] = f64[(session + offset) >> 3]!
  for (const [name, offset] of NARROW) totals[name] = u32[(session + offset) >> 2]!
  totals.state &= ~SessionState.elsewhere
  totals.aheadUp = f32[(session + SESSION_AHEAD_UP) >> 2]!
  totals.aheadDown = f32[(session + SESSION_AHEAD_DOWN) >> 2]!
  if (!runs) return
  totals.baseUp = runs.f64[(at + RUN_BASE_UP) >> 3]!
  totals.baseDown = runs.f64[(at + RUN_BASE_DOWN) >> 3]!
  totals.run = runs.u32[(at + RUN_NUMBER) >> 2]!
}

/** Writes the totals of the held session. SessionState.elsewhere stays as it is. */
export function writeTotals(sessions: Sessions, session: number, totals: SessionTotals): void {
  const { f32, f64, runs, u32 } = sessions
  const at = runAt(sessions, session)
  const elsewhere = u32[(session + SESSION_STATE) >> 2]! & SessionState.elsewhere
  for (const [name, offset] of WIDE) f64[(session + offset) >> 3] = totals[name]
  for (const [name, offset] of NARROW) u32[(session + offset) >> 2] = totals[name]
  u32[(session + SESSION_STATE) >> 2]! |= elsewhere
  f32[(session + SESSION_AHEAD_UP) >> 2] = totals.aheadUp
  f32[(session + SESSION_AHEAD_DOWN) >> 2] = totals.aheadDown
  if (!runs) return
  runs.f64[(at + RUN_BASE_UP) >> 3] = totals.baseUp
  runs.f64[(at + RUN_BASE_DOWN) >> 3] = totals.baseDown
  runs.u32[(at + RUN_NUMBER) >> 2] = totals.run
}

const WIDE = [
  ['uploaded', SESSION_UPLOADED],
  ['downloaded', SESSION_DOWNLOADED],
  ['rawUp', SESSION_NEW_UP],
  ['rawDown', SESSION_NEW_DOWN],
  ['creditUp', SESSION_NEW_CREDIT_UP],
  ['creditDown', SESSION_NEW_CREDIT_DOWN],
  ['idleUp', SESSION_NEW_IDLE_UP],
  ['left', SESSION_LEFT],
  ['finalUp', SESSION_FINAL_UP],
  ['finalDown', SESSION_FINAL_DOWN],
] as const
const NARROW = [
  ['seen', SESSION_SEEN],
  ['first', SESSION_FIRST],
  ['restarted', SESSION_RESTARTED],
  ['seeding', SESSION_NEW_SEEDING],
  ['completed', SESSION_NEW_COMPLETED],
  ['state', SESSION_STATE],
] as const

const own = createSessionTotals()
const before = createSessionTotals()
const ratios = { up: 1, down: 1 }

/**
 * Joins the held session with what another node knows of it, and adds the growth to `credit`.
 * `isNew`: it was added just now. Returns whether a download was added.
 */
export function joinHeld(
  engine: Engine,
  announce: Announce,
  session: number,
  isNew: boolean,
): boolean {
  const { access, account, sessions } = engine
  const { remote } = account
  const { credit, inForce } = access
  credit.uploaded = 0
  credit.downloaded = 0
  credit.completed = 0
  credit.flags = 0
  credit.nowSeconds = remote.seen
  if (isNew) {
    Object.assign(own, remote)
    Object.assign(before, NOTHING)
  } else {
    readTotals(sessions, session, own)
    Object.assign(before, own)
    findFactors(access.factors, access.users, access.user, announce, inForce)
    ratios.up = inForce.upload / ONE
    ratios.down = inForce.download / ONE
    joinSessions(own, remote, ratios)
    if (isSameSession(own, before)) return false
  }
  const state = (session + SESSION_STATE) >> 2
  if (!isChanged(sessions, session)) sessions.u32[state]! |= SessionState.elsewhere
  writeTotals(sessions, session, own)
  markSession(sessions, session)
  credit.uploaded = own.creditUp - before.creditUp
  credit.downloaded = own.creditDown - before.creditDown
  credit.completed = Math.max(0, own.completed - before.completed)
  const isNews = (own.state & ~before.state & SessionState.grewTooFast) !== 0
  credit.flags = isNews ? UserFlag.grewTooFast : 0
  return credit.completed > 0
}

const NOTHING = createSessionTotals()

/** The key of the session of `access.user` that the announce belongs to. */
export function sessionKeyOf(engine: Engine, { request, at, hash }: Announce): SessionKey {
  const key = engine.sessionKey
  key.user = engine.access.user
  key.hash = hash
  key.view = request.view
  key.hashAt = at + INFO_HASH
  key.idAt = at + PEER_ID
  return key
}

/**
 * Joins a session with `account.remote`, whose user is `access.user`, whatever its peer: the
 * announce is an older one, or there is none. Returns whether a download was added.
 */
export function joinSession(engine: Engine, announce: Announce): boolean {
  const { access, sessions } = engine
  const key = sessionKeyOf(engine, announce)
  const known = holdSession(sessions, key)
  const session = known === 0 ? addSession(sessions, key) : known
  if (session === 0) {
    releaseSession(sessions)
    return false
  }
  const isCompleted = joinHeld(engine, announce, session, known === 0)
  releaseSession(sessions)
  creditUser(access.users, access.user, access.credit)
  return isCompleted
}
