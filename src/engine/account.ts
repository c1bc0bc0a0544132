import { Failure } from '../protocol/failures.ts'
import { ADDRESS, DOWNLOADED, EVENT, Event, LEFT, readU64, UPLOADED } from '../protocol/records.ts'
import { RESTART_SECONDS } from '../protocol/session-totals.ts'
import type { Announce } from './current-announce.ts'
import { findEndpoint, putEndpoint, takeEndpoints } from './endpoints.ts'
import type { Engine } from './engine.ts'
import { EventKind, logEvent } from './event-log.ts'
import { reward } from './reward.ts'
import {
  ENDPOINTS_MAX,
  SESSION_DOWNLOADED,
  SESSION_ENDPOINTS,
  SESSION_FINAL_DOWN,
  SESSION_FINAL_UP,
  SESSION_FIRST,
  SESSION_LEFT,
  SESSION_NEW_COMPLETED,
  SESSION_NEW_DOWN,
  SESSION_NEW_IDLE_UP,
  SESSION_NEW_SEEDING,
  SESSION_NEW_UP,
  SESSION_RESTARTED,
  SESSION_SEEN,
  SESSION_STATE,
  SESSION_UPLOADED,
  SessionState,
  type Sessions,
} from './session-layout.ts'
import { addSession, holdSession, markSession, releaseSession } from './sessions.ts'
import { beginRun, joinHeld, readTotals, sessionKeyOf } from './shared-sessions.ts'
import { slotRefusal } from './slots.ts'
import { torrentPeers, torrentSeeders } from './tables/peer-list.ts'
import { NO_TORRENT, type TorrentRef } from './tables/references.ts'
import { creditUser } from './user-records.ts'

/**
 * The credit of users. A client counts from its start, so a user is credited with the growth of the
 * counts of one session (user, torrent and peer id) over the highest ones that it has reported: a
 * repeated announce, a late one, the same one over another address or family and one with lower
 * counts give nothing, and nothing is credited twice. The first announce of a session gives nothing
 * either, because the tracker cannot know how much of its counts is credited already.
 */

/**
 * Seconds after a restart in which a `stopped` with the final counts of before is one that the
 * client repeats: it may have waited for a tracker that was down.
 */
const REPEATED_STOP_SECONDS = 900

/**
 * Credits the user of the announce, before the swarm is changed. The torrent's stripe is held, if
 * there is a torrent. Peers that the session loses by it are removed from the swarm: all of them
 * with `stopped`, the oldest one when the session has too many addresses.
 */
export function account(engine: Engine, announce: Announce, torrent: TorrentRef): void {
  const { sessions, account, access } = engine
  const { at, request } = announce
  const stopped = request.u8[at + EVENT] === Event.stopped
  account.completed = false
  account.counted = false
  account.hasEndpoint = false
  account.hasOthers = false
  account.refusal = Failure.none
  account.hasShared = false
  let session = holdSession(sessions, sessionKeyOf(engine, announce))
  const isNew = session === 0
  if (isNew && (!stopped || announce.isRemote)) session = addSession(sessions, engine.sessionKey)
  if (session === 0) {
    releaseSession(sessions)
    return
  }
  if (announce.isRemote) account.completed = joinHeld(engine, announce, session, isNew)
  else {
    credit(engine, announce, session, isNew, torrent)
    markOwn(engine, session)
  }
  account.counted = (sessions.u32[(session + SESSION_STATE) >> 2]! & SessionState.completed) !== 0
  const known = findEndpoint(sessions, session, announce.peer.family, request, at + ADDRESS)
  account.hasEndpoint = known !== -1
  const count = sessions.u32[(session + SESSION_ENDPOINTS) >> 2]!
  account.hasOthers = count > (account.hasEndpoint ? 1 : 0)
  if (stopped) {
    takeEndpoints(engine, announce, session, torrent, 0)
  } else if (!account.hasEndpoint && count >= ENDPOINTS_MAX) {
    takeEndpoints(engine, announce, session, torrent, ENDPOINTS_MAX - 1)
  } else if (account.hasEndpoint) {
    putEndpoint(engine, announce, session, known)
  } else {
    if (count === 0) account.refusal = slotRefusal(engine, announce, session)
    releaseSession(sessions)
  }
  creditUser(access.users, access.user, access.credit)
  if (engine.events && access.credit.flags !== 0 && !announce.isRemote) {
    logEvent(engine.events, EventKind.flagged, access.user, announce)
  }
}

/** Adds the peer of the announce, which is in the swarm by now, to its session. */
export function attachPeer(engine: Engine, announce: Announce): void {
  const { sessions } = engine
  const session = holdSession(sessions, sessionKeyOf(engine, announce))
  if (session === 0) {
    releaseSession(sessions)
    return
  }
  const { request, at, peer } = announce
  const known = findEndpoint(sessions, session, peer.family, request, at + ADDRESS)
  putEndpoint(engine, announce, session, known)
}

/** Marks a session as one that waits to be written, and notes it for the other nodes. */
function markOwn({ account, ring, sessions }: Engine, session: number): void {
  if (sessions.runs) {
    sessions.u32[(session + SESSION_STATE) >> 2]! &= ~SessionState.elsewhere
    if (ring) readTotals(sessions, session, account.shared)
    account.hasShared = ring !== undefined
  }
  markSession(sessions, session)
}

/** Raises the session's counts and leaves the user's credit in `access.credit`. */
function credit(
  engine: Engine,
  announce: Announce,
  session: number,
  isNew: boolean,
  torrent: TorrentRef,
): void {
  const { sessions, access } = engine
  const { u32, f64 } = sessions
  const { request, at, nowSeconds, peer } = announce
  const event = request.u8[at + EVENT]
  const state = (session + SESSION_STATE) >> 2
  const seen = (session + SESSION_SEEN) >> 2
  const due = access.credit
  due.uploaded = 0
  due.downloaded = 0
  due.flags = 0
  due.nowSeconds = nowSeconds
  const silence = Math.max(0, nowSeconds - u32[seen]!)
  const wasSeeder = (u32[state]! & SessionState.seeder) !== 0
  if (isNew) u32[(session + SESSION_FIRST) >> 2] = nowSeconds
  else if ((u32[state]! & (SessionState.seeder | SessionState.stopped)) === SessionState.seeder) {
    u32[(session + SESSION_NEW_SEEDING) >> 2]! += Math.min(silence, engine.settings.peersTimeout)
  }
  if (isNew || isRestart(sessions, session, announce, silence)) {
    begin(sessions, session, announce)
    beginRun(sessions, session, isNew)
    if (event === Event.started) u32[state]! |= SessionState.began
    else u32[state]! &= ~SessionState.began
  } else if (!isRepeatedStop(sessions, session, announce)) {
    grow(engine, announce, session, silence, torrent)
  }
  const isSeeder = peer.seeder ? SessionState.seeder : 0
  if (event === Event.started && !peer.seeder) u32[state]! &= ~SessionState.completed
  const isCompletion =
    peer.seeder && event === Event.completed && (u32[state]! & SessionState.completed) === 0
  if (isCompletion) u32[(session + SESSION_NEW_COMPLETED) >> 2]!++
  engine.account.completed = isCompletion
  due.completed = isCompletion ? 1 : 0
  u32[state] =
    (u32[state]! & (SessionState.completed | SessionState.grewTooFast | SessionState.began)) |
    isSeeder |
    (isCompletion ? SessionState.completed : 0) |
    (event === Event.stopped ? SessionState.stopped : 0)
  u32[seen] = nowSeconds
  if (!(peer.seeder && wasSeeder)) {
    f64[(session + SESSION_LEFT) >> 3] = readU64(request.view, at + LEFT)
  }
}

/** Whether the client has been restarted since the session's last announce. */
function isRestart(
  { u32, f64 }: Sessions,
  session: number,
  { request, at }: Announce,
  silence: number,
): boolean {
  const started = request.u8[at + EVENT] === Event.started
  const stopped = (u32[(session + SESSION_STATE) >> 2]! & SessionState.stopped) !== 0
  // Two of three signs: `stopped` before, `started` now, and silence in which nothing was delayed.
  // Otherwise the announce is an earlier one, repeated or delayed.
  const signs = (started ? 1 : 0) + (stopped ? 1 : 0) + (silence >= RESTART_SECONDS ? 1 : 0)
  if (signs < 2 || request.u8[at + EVENT] === Event.stopped) return false
  return (
    readU64(request.view, at + UPLOADED) < f64[(session + SESSION_UPLOADED) >> 3]! ||
    readU64(request.view, at + DOWNLOADED) < f64[(session + SESSION_DOWNLOADED) >> 3]!
  )
}

/** Makes the reported counts the base of further growth. */
function begin(
  { u32, f64 }: Sessions,
  session: number,
  { request, at, nowSeconds }: Announce,
): void {
  f64[(session + SESSION_FINAL_UP) >> 3] = f64[(session + SESSION_UPLOADED) >> 3]!
  f64[(session + SESSION_FINAL_DOWN) >> 3] = f64[(session + SESSION_DOWNLOADED) >> 3]!
  f64[(session + SESSION_UPLOADED) >> 3] = readU64(request.view, at + UPLOADED)
  f64[(session + SESSION_DOWNLOADED) >> 3] = readU64(request.view, at + DOWNLOADED)
  u32[(session + SESSION_RESTARTED) >> 2] = nowSeconds
}

/** Whether the announce is the last `stopped` before a restart, repeated or over another family. */
function isRepeatedStop(
  { u32, f64 }: Sessions,
  session: number,
  { request, at, nowSeconds }: Announce,
): boolean {
  if (request.u8[at + EVENT] !== Event.stopped) return false
  if (nowSeconds - u32[(session + SESSION_RESTARTED) >> 2]! >= REPEATED_STOP_SECONDS) return false
  const up = f64[(session + SESSION_FINAL_UP) >> 3]!
  const down = f64[(session + SESSION_FINAL_DOWN) >> 3]!
  return (
    up + down > 0 &&
    up === readU64(request.view, at + UPLOADED) &&
    down === readU64(request.view, at + DOWNLOADED)
  )
}

/** Credits the growth of the counts. */
function grow(
  engine: Engine,
  announce: Announce,
  session: number,
  silence: number,
  torrent: TorrentRef,
): void {
  const { f64 } = engine.sessions
  const { request, at } = announce
  const up = raise(f64, (session + SESSION_UPLOADED) >> 3, readU64(request.view, at + UPLOADED))
  const down = raise(
    f64,
    (session + SESSION_DOWNLOADED) >> 3,
    readU64(request.view, at + DOWNLOADED),
  )
  if (up === 0 && down === 0) return
  f64[(session + SESSION_NEW_UP) >> 3]! += up
  f64[(session + SESSION_NEW_DOWN) >> 3]! += down
  const { arena } = engine.held
  const isIdle =
    torrent === NO_TORRENT || torrentPeers(arena, torrent) === torrentSeeders(arena, torrent)
  if (isIdle) f64[(session + SESSION_NEW_IDLE_UP) >> 3]! += up
  const { growth } = engine
  growth.up = up
  growth.down = down
  growth.isIdle = isIdle
  growth.silence = silence
  reward(engine, announce, session, growth)
}

/** Raises a count and returns the difference. */
function raise(f64: Float64Array, word: number, reported: number): number {
  const growth = reported - f64[word]!
  if (growth <= 0) return 0
  f64[word] = reported
  return growth
}
