import { HASH_BYTES } from '../protocol/records.ts'
import {
  chainFirst,
  chainNext,
  chainWord,
  changedAt,
  choosePartition,
  EVICT_PINNED_MAX,
  filterWord,
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
import { sameKey } from './tables/hash-table.ts'
import { hashInfoHash } from './tables/keyed-hash.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { addUnwritten } from './user-records.ts'

/** The sessions of users, see session-layout.ts: found, added, evicted, expired. */

/**
 * Takes the lock of the key's partition and returns the offset of the session, or 0 if there is
 * none. `releaseSession` must follow in any case.
 */
export function holdSession(sessions: Sessions, key: SessionKey): number {
  choosePartition(sessions, mixKey(key) & (PARTITIONS - 1))
  takeLock(sessions.index, headOf(sessions.partition) + PARTITION_LOCK)
  let session = chainFirst(sessions, key)
  while (session !== 0 && !isKey(sessions, session, key)) session = chainNext(sessions, session)
  return session
}

export function releaseSession(sessions: Sessions): void {
  releaseLock(sessions.index, headOf(sessions.partition) + PARTITION_LOCK)
}

/** Adds a session to the held partition. Returns 0 if every record has several peers. */
export function addSession(sessions: Sessions, key: SessionKey): number {
  const { index, i32, u32, partition } = sessions
  const head = headOf(partition)
  boundSiblings(sessions, key)
  const number = takeRecord(sessions, head)
  if (number === 0) return 0
  const session = recordAt(sessions, number)
  u32.fill(0, session >> 2, (session + SESSION_BYTES) >> 2)
  u32[(session + SESSION_USER) >> 2] = key.user
  for (let n = 0; n < HASH_BYTES; n += 4) {
    i32[(session + SESSION_HASH + n) >> 2] = key.view.getInt32(key.hashAt + n, true)
    i32[(session + SESSION_PEER_ID + n) >> 2] = key.view.getInt32(key.idAt + n, true)
  }
  const chain = chainWord(sessions, mixKey(key))
  u32[(session + SESSION_NEXT) >> 2] = index.u32[chain]!
  index.u32[chain] = number
  index.u32[(head + PARTITION_COUNT) >> 2]!++
  appendNewest(sessions, head, session, number)
  return session
}

function isKey({ i32, u32 }: Sessions, session: number, key: SessionKey): boolean {
  return (
    u32[(session + SESSION_USER) >> 2] === key.user &&
    sameKey(i32, (session + SESSION_PEER_ID) >> 2, key.view, key.idAt) &&
    sameKey(i32, (session + SESSION_HASH) >> 2, key.view, key.hashAt)
  )
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
  const { index, u32, records } = sessions
  const free = index.u32[(head + PARTITION_FREE) >> 2]!
  if (free !== 0) {
    index.u32[(head + PARTITION_FREE) >> 2] = u32[(recordAt(sessions, free) + SESSION_NEXT) >> 2]!
    return free
  }
  const used = index.u32[(head + PARTITION_USED) >> 2]!
  if (used < records) {
    index.u32[(head + PARTITION_USED) >> 2] = used + 1
    return used + 1
  }
  let pinned = 0
  for (let n = 0; n < records && pinned < EVICT_PINNED_MAX; n++) {
    const oldest = index.u32[(head + PARTITION_OLDEST) >> 2]!
    const session = recordAt(sessions, oldest)
    if (isPinned(sessions, session) || mustWait(sessions, session)) pinned++
    else if (!isNewerThanPlace(sessions, session)) {
      if (isChanged(sessions, session)) leaveUnwritten(sessions, session)
      index.u32[(head + PARTITION_EVICTED) >> 2]!++
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
  const { index, u8, u32, partition } = sessions
  const head = headOf(partition)
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
  unlinkChain(sessions, chainWord(sessions, mixKey(key)), session, number)
  unlinkAge(sessions, head, session)
  if (isChanged(sessions, session)) setUnchanged(sessions, session)
  u32[(session + SESSION_NEXT) >> 2] = index.u32[(head + PARTITION_FREE) >> 2]!
  u32[(session + SESSION_USER) >> 2] = 0
  index.u32[(head + PARTITION_FREE) >> 2] = number
  index.u32[(head + PARTITION_COUNT) >> 2]!--
}

function unlinkChain(sessions: Sessions, chain: number, session: number, number: number): void {
  const { index, u32 } = sessions
  const next = u32[(session + SESSION_NEXT) >> 2]!
  if (index.u32[chain] === number) {
    index.u32[chain] = next
    return
  }
  let link = (recordAt(sessions, index.u32[chain]!) + SESSION_NEXT) >> 2
  while (u32[link] !== number) link = (recordAt(sessions, u32[link]!) + SESSION_NEXT) >> 2
  u32[link] = next
}

function unlinkAge(sessions: Sessions, head: number, session: number): void {
  const { index, u32 } = sessions
  const older = u32[(session + SESSION_OLDER) >> 2]!
  const newer = u32[(session + SESSION_NEWER) >> 2]!
  if (older === 0) index.u32[(head + PARTITION_OLDEST) >> 2] = newer
  else u32[(recordAt(sessions, older) + SESSION_NEWER) >> 2] = newer
  if (newer === 0) index.u32[(head + PARTITION_NEWEST) >> 2] = older
  else u32[(recordAt(sessions, newer) + SESSION_OLDER) >> 2] = older
}

/** Appends the session to the list by age, with its current time of the last announce. */
function appendNewest(sessions: Sessions, head: number, session: number, number: number): void {
  const { index, u32 } = sessions
  const newest = index.u32[(head + PARTITION_NEWEST) >> 2]!
  u32[(session + SESSION_OLDER) >> 2] = newest
  u32[(session + SESSION_NEWER) >> 2] = 0
  u32[(session + SESSION_STAMP) >> 2] = u32[(session + SESSION_SEEN) >> 2]!
  if (newest === 0) index.u32[(head + PARTITION_OLDEST) >> 2] = number
  else u32[(recordAt(sessions, newest) + SESSION_NEWER) >> 2] = number
  index.u32[(head + PARTITION_NEWEST) >> 2] = number
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
  sessions.index.u32[(headOf(sessions.partition) + PARTITION_TOO_FAST) >> 2]!++
}

/** Marks the held session as one that waits to be written to the database. */
export function markSession(sessions: Sessions, session: number): void {
  const { index } = sessions
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions) >> 2) + (bit >> 5)
  const bits = index.i32[word]!
  const mask = 1 << (bit & 31)
  if ((bits & mask) !== 0) return
  index.i32[word] = bits | mask
  index.u32[(headOf(sessions.partition) + PARTITION_CHANGED) >> 2]!++
}

/** Whether the held session waits to be written. */
export function isChanged(sessions: Sessions, session: number): boolean {
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions) >> 2) + (bit >> 5)
  return (sessions.index.i32[word]! & (1 << (bit & 31))) !== 0
}

function setUnchanged(sessions: Sessions, session: number): void {
  const { index } = sessions
  const bit = numberOf(sessions, session) - 1
  const word = (changedAt(sessions) >> 2) + (bit >> 5)
  index.i32[word]! &= ~(1 << (bit & 31))
  index.u32[(headOf(sessions.partition) + PARTITION_CHANGED) >> 2]!--
}

/** Counts a torrent that has a correction from now on (1), or no longer has one (-1). */
export function countCorrected(sessions: Sessions, hash: number, change: 1 | -1): void {
  Atomics.add(sessions.index.i32, filterWord(sessions, hash), change)
}

/** Returns false only if the torrent has no correction. */
export function mayBeCorrected(sessions: Sessions, hash: number): boolean {
  return sessions.index.i32[filterWord(sessions, hash)] !== 0
}

/**
 * Sums over all partitions. Each partition's count is exact, but they are not of a single moment.
 */
export function sessionCounts({ index, records }: Sessions): {
  sessions: number
  evicted: number
  changed: number
  tooFast: number
  sessionsMax: number
} {
  const sum = { sessions: 0, evicted: 0, changed: 0, tooFast: 0, sessionsMax: records * PARTITIONS }
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const head = headOf(partition)
    sum.sessions += index.u32[(head + PARTITION_COUNT) >> 2]!
    sum.evicted += index.u32[(head + PARTITION_EVICTED) >> 2]!
    sum.tooFast += index.u32[(head + PARTITION_TOO_FAST) >> 2]!
    sum.changed += index.u32[(head + PARTITION_CHANGED) >> 2]!
  }
  return sum
}

/** Takes the lock of a partition. */
export function holdPartition(sessions: Sessions, partition: number): void {
  choosePartition(sessions, partition)
  takeLock(sessions.index, headOf(partition) + PARTITION_LOCK)
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
  const { index } = sessions
  if (Atomics.load(index.u32, (headOf(partition) + PARTITION_CHANGED) >> 2) === 0) return
  holdPartition(sessions, partition)
  const first = changedAt(sessions) >> 2
  for (let word = 0; word < sessions.records >> 5; word++) {
    let bits = index.i32[first + word]!
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits)
      bits &= ~(1 << bit)
      const session = recordAt(sessions, word * 32 + bit + 1)
      if (visit(session)) setUnchanged(sessions, session)
    }
  }
  releaseSession(sessions)
}

/**
 * Removes sessions of a partition that were last seen before `limit`, have no peer and nothing to
 * write. Returns how many.
 */
export function expireSessions(sessions: Sessions, partition: number, limit: number): number {
  holdPartition(sessions, partition)
  const { index, u32 } = sessions
  const head = headOf(partition)
  let removed = 0
  const newest = index.u32[(head + PARTITION_NEWEST) >> 2]!
  let number = index.u32[(head + PARTITION_OLDEST) >> 2]!
  while (number !== 0) {
    const session = recordAt(sessions, number)
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
  releaseSession(sessions)
  return removed
}

/** Calls `visit` for each session of a partition, which is held meanwhile. */
export function eachSession(
  sessions: Sessions,
  partition: number,
  visit: (session: number) => void,
): void {
  holdPartition(sessions, partition)
  const { index, u32 } = sessions
  const head = headOf(partition)
  for (let number = index.u32[(head + PARTITION_OLDEST) >> 2]!; number !== 0; ) {
    const session = recordAt(sessions, number)
    visit(session)
    number = u32[(session + SESSION_NEWER) >> 2]!
  }
  releaseSession(sessions)
}

/** Sorts the records of a partition by the time at which they were last seen. */
export function sortByAge(sessions: Sessions, partition: number): void {
  holdPartition(sessions, partition)
  const { index, u32 } = sessions
  const head = headOf(partition)
  const numbers: number[] = []
  for (let number = index.u32[(head + PARTITION_OLDEST) >> 2]!; number !== 0; ) {
    numbers.push(number)
    number = u32[(recordAt(sessions, number) + SESSION_NEWER) >> 2]!
  }
  const seen = (number: number) => u32[(recordAt(sessions, number) + SESSION_SEEN) >> 2]!
  numbers.sort((a, b) => seen(a) - seen(b))
  index.u32[(head + PARTITION_OLDEST) >> 2] = 0
  index.u32[(head + PARTITION_NEWEST) >> 2] = 0
  for (const number of numbers) {
    appendNewest(sessions, head, recordAt(sessions, number), number)
  }
  releaseSession(sessions)
}
