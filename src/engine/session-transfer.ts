import { allocate, type Bytes } from '../protocol/bytes.ts'
import {
  HASH_BYTES,
  INFO_HASH,
  PEER_ID,
  USER_KEY,
  WEBSOCKET_ANNOUNCE_BYTES,
} from '../protocol/records.ts'
import {
  createSessionTotals,
  readSessionTotals,
  SESSION_TOTALS_BYTES,
  writeSessionTotals,
} from '../protocol/session-totals.ts'
import { findUser } from './access.ts'
import { readAnnounce } from './current-announce.ts'
import type { Engine } from './engine.ts'
import {
  headOf,
  PARTITION_USED,
  PARTITIONS,
  recordAt,
  SESSION_HASH,
  SESSION_SEEN,
  SESSION_USER,
} from './session-layout.ts'
import { holdPartition, isChanged, releaseSession } from './sessions.ts'
import { joinSession, readTotals } from './shared-sessions.ts'
import { copyUserKey } from './user-records.ts'

/** A session on its way to another node: user key, info hash, peer id, totals. */
export const SESSION_RECORD_BYTES = 3 * HASH_BYTES + SESSION_TOTALS_BYTES

/** Records that are checked while a partition is held. */
const RECORDS_PER_TURN = 1024

/** The sessions to give, seen since the Unix second `since`, and the last record checked. */
export type SessionCursor = { readonly since: number; partition: number; number: number }

export function createSessionCursor(since: number): SessionCursor {
  return { since, partition: 0, number: 0 }
}

const totals = createSessionTotals()

/** Whether all sessions were given, or there are no other nodes. */
export function isSessionEnd({ sessions }: Engine, { partition }: SessionCursor): boolean {
  return sessions.runs === undefined || partition === PARTITIONS
}

/**
 * Writes sessions that were seen since the cursor's second, or are not stored yet, to `out` from
 * `at` to at most `most`. Advances the cursor by a bounded part of the table. Returns where they
 * end.
 */
export function exportSessions(
  { access, sessions }: Engine,
  cursor: SessionCursor,
  { u8, view }: Bytes,
  at: number,
  most: number,
): number {
  const { partition, since } = cursor
  let end = at
  holdPartition(sessions, partition)
  const { u32 } = sessions
  const used = sessions.index.u32[(headOf(partition) + PARTITION_USED) >> 2]!
  const last = Math.min(used, cursor.number + RECORDS_PER_TURN)
  while (cursor.number < last && end + SESSION_RECORD_BYTES <= most) {
    const session = recordAt(sessions, ++cursor.number)
    const user = u32[(session + SESSION_USER) >> 2]!
    const isRecent = u32[(session + SESSION_SEEN) >> 2]! >= since
    if (user === 0 || !(isRecent || isChanged(sessions, session))) continue
    copyUserKey(access.users, user, u8, end)
    const ids = session + SESSION_HASH
    u8.set(sessions.u8.subarray(ids, ids + 2 * HASH_BYTES), end + HASH_BYTES)
    readTotals(sessions, session, totals)
    writeSessionTotals(view, end + 3 * HASH_BYTES, totals)
    end += SESSION_RECORD_BYTES
  }
  if (cursor.number >= used) {
    cursor.partition++
    cursor.number = 0
  }
  releaseSession(sessions)
  return end
}

const request = allocate(WEBSOCKET_ANNOUNCE_BYTES)

/** Joins the sessions of another node. Sessions of users that are unknown here are skipped. */
export function importSessions(engine: Engine, { u8, view }: Bytes, at: number, end: number): void {
  const { access, account, announce } = engine
  if (!engine.sessions.runs || !access.rules.users) return
  for (let from = at; from + SESSION_RECORD_BYTES <= end; from += SESSION_RECORD_BYTES) {
    request.u8.set(u8.subarray(from, from + HASH_BYTES), USER_KEY)
    request.u8.set(u8.subarray(from + HASH_BYTES, from + 2 * HASH_BYTES), INFO_HASH)
    request.u8.set(u8.subarray(from + 2 * HASH_BYTES, from + 3 * HASH_BYTES), PEER_ID)
    access.user = findUser(access, request.view, USER_KEY)
    if (access.user === 0) continue
    if (!readSessionTotals(view, from + 3 * HASH_BYTES, account.remote)) continue
    announce.request = request
    announce.at = 0
    announce.nowSeconds = account.remote.seen
    readAnnounce(announce, engine.hashKey)
    joinSession(engine, announce)
  }
}
