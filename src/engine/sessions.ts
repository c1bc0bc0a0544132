import { HASH_BYTES } from '../protocol/records.ts'
import {
  chainAt,
  chainFirst,
  chainNext,
  changedAt,
  EVICT_PINNED_MAX,
  FILTER_ENTRIES,
  headOf,
  mixKey,
  numberOf,
  PARTITION_CHANGED,
  PARTITION_COUNT,
  PARTITION_EVICTED,
  PARTITION_FREE,
  PARTITION_LOCK,
  PARTITION_NEWEST,
  PARTITION_OLDEST,
  PARTITION_TOO_FAST,
  PARTITION_USED,
  PARTITIONS,
  recordAt,
  SESSION_BYTES,
  SESSION_ENDPOINTS,
  SESSION_HASH,
  SESSION_NEW_COMPLETED,
  SESSION_NEW_CREDIT_DOWN,
  SESSION_NEW_CREDIT_UP,
  SESSION_NEWER,
  SESSION_NEXT,
  SESSION_OLDER,
  SESSION_PEER_ID,
  SESSION_SEEN,
  SESSION_STAMP,
  SESSION_USER,
  type SessionKey,
  type Sessions,
} from './session-layout.ts'
import { isDownloading, isSibling, noteDownloading } from './siblings.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { addUnwritten } from './user-records.ts'

/** The sessions of users, see session-layout.ts: found, added, evicted, expired. */

/**
 * Takes the lock of the key's partition and returns the offset of the session, or 0 if there is
 * none. `releaseSession` must follow in any case.
 */
export function holdSession(sessions: Sessions, key: SessionKey): number {
  const mixed = mixKey(key)
  sessions.partition = mixed & (PARTITIONS - 1)
  const head = headOf(sessions, sessions.partition)
  takeLock(sessions, head + PARTITION_LOCK)
  let session = chainFirst(sessions, key)
  while (session !== 0 && !isKey(sessions, session, key)) session = chainNext(sessions, session)
  return session
}

export function releaseSession(sessions: Sessions): void {
  releaseLock(sessions, headOf(sessions, sessions.partition) + PARTITION_LOCK)
}

/** Adds a session to the held partition. Returns 0 if every record has several peers. */
export function addSession(sessions: Sessions, key: SessionKey): number {
  const { u8, u32, partition } = sessions
  const head = headOf(sessions, partition)
  boundSiblings(sessions, key)
  const number = takeRecord(sessions, head)
  if (number === 0) return 0
  const session = recordAt(sessions, partition, number)
  u8.fill(0, session, session + SESSION_BYTES)
  u32[(session + SESSION_USER) >> 2] = key.user
  for (let n = 0; n < HASH_BYTES; n++) {
    u8[session + SESSION_HASH + n] = key.view.getUint8(key.hashAt + n)
    u8[session + SESSION_PEER_ID + n] = key.view.getUint8(key.idAt + n)
  }
  const chain = chainAt(sessions, head, mixKey(key)) >> 2
  u32[(session + SESSION_NEXT) >> 2] = u32[chain]!
  u32[chain] = number
  u32[(head + PARTITION_COUNT) >> 2]!++
  appendNewest(sessions, head, session, number)
  return session
}

function isKey({ u8, u32 }: Sessions, session: number, key: SessionKey): boolean {
  if (u32[(session + SESSION_USER) >> 2] !== key.user) return false
  const { view, hashAt, idAt } = key
  for (let n = 0; n < HASH_BYTES; n++) {
    if (u8[session + SESSION_PEER_ID + n] !== view.getUint8(idAt + n)) return false
  }
  for (let n = 0; n < HASH_BYTES; n++) {
    if (u8[session + SESSION_HASH + n] !== view.getUint8(hashAt + n)) return false
  }
  return true
}

/** Sessions of a user in a torrent. The oldest one without a peer makes space for another. */
export const SIBLINGS_MAX = 64

function boundSiblings(sessions: Sessions, key: SessionKey): void {
  const { u32 } = sessions
  let count = 0
  let oldest = 0
  for (let other = chainFirst(sessions, key); other !== 0; other = chainNext(sessions, other)) {
    if (!isSibling(sessions, other, key)) continue
    count++
    if (u32[(other + SESSION_ENDPOINTS) >> 2] !== 0 || isChanged(sessions, other)) continue
    const isOlder = u32[(other + SESSION_SEEN) >> 2]! < u32[(oldest + SESSION_SEEN) >> 2]!
    if (oldest === 0 || isOlder) oldest = other
  }
  if (count >= SIBLINGS_MAX && oldest !== 0 && key.user !== 0) removeSession(sessions, oldest)
}

/** The number of a free record, after an eviction if there is none; 0 if none can be evicted. */
function takeRecord(sessions: Sessions, head: number): number {
  const { u32, partition, records } = sessions
  const free = u32[(head + PARTITION_FREE) >> 2]!
  if (free !== 0) {
    u32[(head + PARTITION_FREE) >> 2] =
      u32[(recordAt(sessions, partition, free) + SESSION_NEXT) >> 2]!
    return free
  }
  const used = u32[(head + PARTITION_USED) >> 2]!
  if (used < records) {
    u32[(head + PARTITION_USED) >> 2] = used + 1
    return used + 1
  }
  let pinned = 0
  for (let n = 0; n < records && pinned < EVICT_PINNED_MAX; n++) {
    const oldest = u32[(head + PARTITION_OLDEST) >> 2]!
    const session = recordAt(sessions, partition, oldest)
    if (isPinned(sessions, session) || mustWait(sessions, session)) pinned++
    else if (!isNewerThanPlace(sessions, session)) {
      if (isChanged(sessions, session)) leaveUnwritten(sessions, session)
      u32[(head + PARTITION_EVICTED) >> 2]!++
      removeSession(sessions, session)
      return takeRecord(sessions, head)
    }
    moveToNewest(sessions, head, session, oldest)
  }
  return 0
}

/** The totals of a session that several nodes credit are lost with it until they are stored. */
function mustWait(sessions: Sessions, session: number): boolean {
  return sessions.runs !== undefined && isChanged(sessions, session)
}

/** Adds the unwritten changes of the session to its user's record. */
function leaveUnwritten({ u32, f64, users }: Sessions, session: number): void {
  addUnwritten(users, u32[(session + SESSION_USER) >> 2]!, {
    uploaded: f64[(session + SESSION_NEW_CREDIT_UP) >> 3]!,
    downloaded: f64[(session + SESSION_NEW_CREDIT_DOWN) >> 3]!,
    completed: u32[(session + SESSION_NEW_COMPLETED) >> 2]!,
  })
}

/** Removes a session of the held partition. */
export function removeSession(sessions: Sessions, session: number): void {
  const { u8, u32, partition } = sessions
  const head = headOf(sessions, partition)
  const number = numberOf(sessions, session)
  const view = new DataView(u8.buffer, session, SESSION_BYTES)
  const key: SessionKey = {
    user: u32[(session + SESSION_USER) >> 2]!,
    hash: hashInfoHash(sessions.hashKey, view, SESSION_HASH),
    view,
    hashAt: SESSION_HASH,
    idAt: SESSION_PEER_ID,
  }
  if (isDownloading(sessions, session)) {
    u32[(session + SESSION_ENDPOINTS) >> 2] = 0
    noteDownloading(sessions, key, session, true)
  }
  let link = chainAt(sessions, head, mixKey(key)) >> 2
  while (u32[link] !== number) {
    link = (recordAt(sessions, partition, u32[link]!) + SESSION_NEXT) >> 2
  }
  u32[link] = u32[(session + SESSION_NEXT) >> 2]!
  unlinkAge(sessions, head, session)
  if (isChanged(sessions, session)) setUnchanged(sessions, session)
  u32[(session + SESSION_NEXT) >> 2] = u32[(head + PARTITION_FREE) >> 2]!
  u32[(session + SESSION_USER) >> 2] = 0
  u32[(head + PARTITION_FREE) >> 2] = number
  u32[(head + PARTITION_COUNT) >> 2]!--
}

function unlinkAge(sessions: Sessions, head: number, session: number): void {
  const { u32, partition } = sessions
  const older = u32[(session + SESSION_OLDER) >> 2]!
  const newer = u32[(session + SESSION_NEWER) >> 2]!
  if (older === 0) u32[(head + PARTITION_OLDEST) >> 2] = newer
  else u32[(recordAt(sessions, partition, older) + SESSION_NEWER) >> 2] = newer
  if (newer === 0) u32[(head + PARTITION_NEWEST) >> 2] = older
  else u32[(recordAt(sessions, partition, newer) + SESSION_OLDER) >> 2] = older
}

/** Appends the session to the list by age, with its current time of the last announce. */
function appendNewest(sessions: Sessions, head: number, session: number, number: number): void {
  const { u32, partition } = sessions
  const newest = u32[(head + PARTITION_NEWEST) >> 2]!
  u32[(session + SESSION_OLDER) >> 2] = newest
  u32[(session + SESSION_NEWER) >> 2] = 0
  u32[(session + SESSION_STAMP) >> 2] = u32[(session + SESSION_SEEN) >> 2]!
  if (newest === 0) u32[(head + PARTITION_OLDEST) >> 2] = number
  else u32[(recordAt(sessions, partition, newest) + SESSION_NEWER) >> 2] = number
  u32[(head + PARTITION_NEWEST) >> 2] = number
}

function moveToNewest(sessions: Sessions, head: number, session: number, number: number): void {
  unlinkAge(sessions, head, session)
  appendNewest(sessions, head, session, number)
}

/**
 * The list by age is brought up to date only when its oldest record is needed: moving a record with
 * each announce would touch three others. A session that was seen since it was appended is newer
 * than its position says.
 */
function isNewerThanPlace({ u32 }: Sessions, session: number): boolean {
  return u32[(session + SESSION_SEEN) >> 2] !== u32[(session + SESSION_STAMP) >> 2]
}

/**
 * Whether the torrent's counts depend on the record: it has several peers, or is the correction.
 */
function isPinned({ u32 }: Sessions, session: number): boolean {
  return u32[(session + SESSION_ENDPOINTS) >> 2]! > 1 || u32[(session + SESSION_USER) >> 2] === 0
}

/** Counts an announce of the held session whose counts grew faster than is plausible. */
export function countTooFast(sessions: Sessions): void {
  sessions.u32[(headOf(sessions, sessions.partition) + PARTITION_TOO_FAST) >> 2]!++
}

/** Marks the held session as one that waits to be written to the database. */
export function markSession(sessions: Sessions, session: number): void {
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions, sessions.partition) >> 2) + (bit >> 5)
  const mask = 1 << (bit & 31)
  if ((sessions.i32[word]! & mask) !== 0) return
  sessions.i32[word]! |= mask
  sessions.u32[(headOf(sessions, sessions.partition) + PARTITION_CHANGED) >> 2]!++
}

/** Whether the held session waits to be written. */
export function isChanged(sessions: Sessions, session: number): boolean {
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions, sessions.partition) >> 2) + (bit >> 5)
  return (sessions.i32[word]! & (1 << (bit & 31))) !== 0
}

function setUnchanged(sessions: Sessions, session: number): void {
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions, sessions.partition) >> 2) + (bit >> 5)
  sessions.i32[word]! &= ~(1 << (bit & 31))
  sessions.u32[(headOf(sessions, sessions.partition) + PARTITION_CHANGED) >> 2]!--
}

/** Counts a torrent that has a correction from now on (1), or no longer has one (-1). */
export function countCorrected(sessions: Sessions, hash: number, change: 1 | -1): void {
  Atomics.add(sessions.i32, filterAt(sessions, hash), change)
}

/** Returns false only if the torrent has no correction. */
export function mayBeCorrected(sessions: Sessions, hash: number): boolean {
  return sessions.i32[filterAt(sessions, hash)] !== 0
}

function filterAt(sessions: Sessions, hash: number): number {
  return (headOf(sessions, PARTITIONS) >> 2) + ((hash >>> 12) & (FILTER_ENTRIES - 1))
}

/**
 * Sums over all partitions. Each partition's count is exact, but they are not of a single moment.
 */
export function sessionCounts(sessions: Sessions): {
  sessions: number
  evicted: number
  changed: number
  tooFast: number
  sessionsMax: number
} {
  const sum = {
    sessions: 0,
    evicted: 0,
    changed: 0,
    tooFast: 0,
    sessionsMax: sessions.records * PARTITIONS,
  }
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const head = headOf(sessions, partition)
    sum.sessions += sessions.u32[(head + PARTITION_COUNT) >> 2]!
    sum.evicted += sessions.u32[(head + PARTITION_EVICTED) >> 2]!
    sum.tooFast += sessions.u32[(head + PARTITION_TOO_FAST) >> 2]!
    sum.changed += sessions.u32[(head + PARTITION_CHANGED) >> 2]!
  }
  return sum
}

/**
 * Calls `visit` for each session of a partition that waits to be written, and marks it as written.
 * `visit` returns false for a session that must stay marked.
 */
export function takeChanged(
  sessions: Sessions,
  partition: number,
  visit: (session: number) => boolean,
): void {
  const head = headOf(sessions, partition)
  if (Atomics.load(sessions.u32, (head + PARTITION_CHANGED) >> 2) === 0) return
  sessions.partition = partition
  takeLock(sessions, head + PARTITION_LOCK)
  const first = changedAt(sessions, partition) >> 2
  for (let word = 0; word < sessions.records >> 5; word++) {
    let bits = sessions.i32[first + word]!
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits)
      bits &= ~(1 << bit)
      const session = recordAt(sessions, partition, word * 32 + bit + 1)
      if (visit(session)) setUnchanged(sessions, session)
    }
  }
  releaseLock(sessions, head + PARTITION_LOCK)
}

/**
 * Removes sessions of a partition that were last seen before `limit`, have no peer and nothing to
 * write. Returns how many.
 */
export function expireSessions(sessions: Sessions, partition: number, limit: number): number {
  const head = headOf(sessions, partition)
  const { u32 } = sessions
  sessions.partition = partition
  takeLock(sessions, head + PARTITION_LOCK)
  let removed = 0
  const newest = u32[(head + PARTITION_NEWEST) >> 2]!
  let number = u32[(head + PARTITION_OLDEST) >> 2]!
  while (number !== 0) {
    const session = recordAt(sessions, partition, number)
    const next = number === newest ? 0 : u32[(session + SESSION_NEWER) >> 2]!
    if (u32[(session + SESSION_STAMP) >> 2]! >= limit) break
    const isAlive = u32[(session + SESSION_SEEN) >> 2]! >= limit || isChanged(sessions, session)
    if (isAlive || isPinned(sessions, session) || u32[(session + SESSION_ENDPOINTS) >> 2] !== 0) {
      moveToNewest(sessions, head, session, number)
    } else {
      removeSession(sessions, session)
      removed++
    }
    number = next
  }
  releaseLock(sessions, head + PARTITION_LOCK)
  return removed
}

/** Calls `visit` for each session of a partition, which is held meanwhile. */
export function eachSession(
  sessions: Sessions,
  partition: number,
  visit: (session: number) => void,
): void {
  const { u32 } = sessions
  const head = headOf(sessions, partition)
  sessions.partition = partition
  takeLock(sessions, head + PARTITION_LOCK)
  for (let number = u32[(head + PARTITION_OLDEST) >> 2]!; number !== 0; ) {
    const session = recordAt(sessions, partition, number)
    visit(session)
    number = u32[(session + SESSION_NEWER) >> 2]!
  }
  releaseLock(sessions, head + PARTITION_LOCK)
}

/** Sorts the records of a partition by the time at which they were last seen. */
export function sortByAge(sessions: Sessions, partition: number): void {
  const { u32 } = sessions
  const head = headOf(sessions, partition)
  sessions.partition = partition
  takeLock(sessions, head + PARTITION_LOCK)
  const numbers: number[] = []
  for (let number = u32[(head + PARTITION_OLDEST) >> 2]!; number !== 0; ) {
    numbers.push(number)
    number = u32[(recordAt(sessions, partition, number) + SESSION_NEWER) >> 2]!
  }
  const seen = (number: number) => u32[(recordAt(sessions, partition, number) + SESSION_SEEN) >> 2]!
  numbers.sort((a, b) => seen(a) - seen(b))
  u32[(head + PARTITION_OLDEST) >> 2] = 0
  u32[(head + PARTITION_NEWEST) >> 2] = 0
  for (const number of numbers) {
    appendNewest(sessions, head, recordAt(sessions, partition, number), number)
  }
  releaseLock(sessions, head + PARTITION_LOCK)
}
