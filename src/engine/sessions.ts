import { HASH_BYTES } from '../protocol/records.ts'
import { type HashKey, hashInfoHash } from './tables/keyed-hash.ts'
import { releaseLock, takeLock } from './tables/lock.ts'
import { addUnwritten, type Users } from './user-records.ts'

/**
 * Sessions: what each client of a user has reported for a torrent, whatever its address, family or
 * protocol. A session belongs to a user, a torrent and a peer id, and outlives the peer, so that
 * the counts of a client that was silent, changed its address or returned are credited once.
 *
 * The table is divided into partitions by the hash of the key. A partition has a lock, chains of
 * records by hash, and a list of its records by age. A thread that holds a stripe may take the lock
 * of a partition, and then that of a user record, but not the other way round.
 */

/** Most addresses of a session. A new one replaces the one that announced longest ago. */
export const ENDPOINTS_MAX = 4
/** Bytes of an address: IPv4 in the first four, a WebSocket connection in the first eight. */
export const ENDPOINT_ADDRESS_BYTES = 16

/** A session. Offsets in bytes from its start. */
export const SESSION_NEXT = 0 //            u32, the next record of the chain, or of the free list
export const SESSION_OLDER = 4 //           u32
export const SESSION_NEWER = 8 //           u32
export const SESSION_USER = 12 //           u32, number of the user record
export const SESSION_HASH = 16 //           20, info hash
export const SESSION_PEER_ID = 36 //        20
export const SESSION_UPLOADED = 56 //       f64, highest count reported since the client started
export const SESSION_DOWNLOADED = 64 //     f64
/** Not yet written to the database: bytes as reported, bytes as credited, seconds, downloads. */
export const SESSION_NEW_UP = 72 //         f64
export const SESSION_NEW_DOWN = 80 //       f64
export const SESSION_NEW_CREDIT_UP = 88 //  f64
export const SESSION_NEW_CREDIT_DOWN = 96 // f64
export const SESSION_LEFT = 104 //          f64, bytes
/** Final counts before the client was restarted, by which a repeated `stopped` is recognized. */
export const SESSION_FINAL_UP = 112 //      f64
export const SESSION_FINAL_DOWN = 120 //    f64
export const SESSION_SEEN = 128 //          u32, Unix seconds of the last announce
export const SESSION_FIRST = 132 //         u32, Unix seconds of the first announce
export const SESSION_NEW_SEEDING = 136 //   u32, seconds
export const SESSION_NEW_COMPLETED = 140 // u32
export const SESSION_STATE = 144 //         u32, bits of SessionState
export const SESSION_RESTARTED = 148 //     u32, Unix seconds
export const SESSION_ENDPOINTS = 152 //     u32, addresses in use, those that announced last first
export const SESSION_ADDRESSES = 156 //     ENDPOINTS_MAX of ENDPOINT_BYTES
export const SESSION_STAMP = 236 //         u32, SESSION_SEEN when it was appended to the list by age
export const SESSION_NEW_IDLE_UP = 240 //   f64, upload reported while the torrent had no leecher
export const SESSION_BYTES = 256

/** One address of a session: family and class of its peer, then the address. */
export const ENDPOINT_FAMILY = 0 //  u8
export const ENDPOINT_SEEDER = 1 //  u8, 1 if the peer is in the list's seeders
export const ENDPOINT_ADDRESS = 4 // 16
export const ENDPOINT_BYTES = 20

/**
 * The correction of a torrent's counts, in a record with user 0 and an empty peer id: several peers
 * of one session count as one.
 */
export const EXTRA_SEEDERS = SESSION_NEW_SEEDING
export const EXTRA_LEECHERS = SESSION_NEW_COMPLETED

export const SessionState = {
  /** The last announce was `stopped`. */
  stopped: 1,
  /** The download of the session was counted. */
  completed: 2,
  /** The last announce reported nothing left. */
  seeder: 4,
  /** The counts grew faster than `accounting.max_rate` or `accounting.suspicious_rate`. */
  grewTooFast: 8,
} as const

/** Partitions of the table, each with its own lock. */
export const PARTITIONS = 256
/** Size of a partition relative to the mean: the hash does not spread records perfectly evenly. */
const SLACK = 1.1

const PARTITION_LOCK = 0 //   i32, see lock.ts
const PARTITION_COUNT = 4 //  u32, records in use
const PARTITION_FREE = 8 //   u32, the first free record
const PARTITION_USED = 12 //  u32, records that were ever used
const PARTITION_OLDEST = 16 // u32
const PARTITION_NEWEST = 20 // u32
const PARTITION_EVICTED = 24 // u32, wraps
const PARTITION_CHANGED = 28 // u32, records that wait to be written
const PARTITION_TOO_FAST = 32 // u32, wraps: announces whose counts grew too fast
const PARTITION_HEAD_BYTES = 64

/**
 * Counters, by the torrent's hash, of torrents with a correction, so that others need no lookup.
 */
const FILTER_ENTRIES = 65_536

/** Pinned records that an eviction skips before it gives up. */
const EVICT_PINNED_MAX = 64

export type SharedSessions = {
  readonly memory: SharedArrayBuffer
  /** Records of each partition, a multiple of 32. */
  readonly records: number
  readonly hashKey: HashKey
}

/** The table as one thread sees it, and the session that the thread holds. */
export type Sessions = SharedSessions & {
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
  /** Entries of a partition's chain table, a power of two. */
  readonly chains: number
  /** Bytes of a partition, and offset of its first record. */
  readonly stride: number
  readonly firstRecord: number
  /** Partition of the held session. */
  partition: number
  /** Receives what evicted sessions have not written yet. */
  readonly users: Users
}

/**
 * Reserves address space for about `sessionsMax` sessions; memory is used as sessions are added.
 */
export function createSessions(sessionsMax: number, hashKey: HashKey): SharedSessions {
  const records = Math.ceil(Math.ceil((sessionsMax / PARTITIONS) * SLACK) / 32) * 32
  const bytes = partitionBytes(records) * PARTITIONS + FILTER_ENTRIES * 4
  return { memory: new SharedArrayBuffer(bytes), records, hashKey }
}

export function openSessions(shared: SharedSessions, users: Users): Sessions {
  const { memory } = shared
  return {
    ...shared,
    u8: new Uint8Array(memory),
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    f64: new Float64Array(memory),
    chains: chainsOf(shared.records),
    stride: partitionBytes(shared.records),
    firstRecord: partitionBytes(shared.records) - shared.records * SESSION_BYTES,
    partition: 0,
    users,
  }
}

function chainsOf(records: number): number {
  return 2 ** Math.ceil(Math.log2(records))
}

/** Head, chain table, a bit per record that waits to be written, and the records. */
function partitionBytes(records: number): number {
  return (
    PARTITION_HEAD_BYTES + chainsOf(records) * 4 + changedBytes(records) + records * SESSION_BYTES
  )
}

function changedBytes(records: number): number {
  return Math.ceil(records / 32 / 16) * 64
}

function headOf(sessions: Sessions, partition: number): number {
  return partition * sessions.stride
}

function changedAt(sessions: Sessions, partition: number): number {
  return headOf(sessions, partition) + PARTITION_HEAD_BYTES + sessions.chains * 4
}

/** Byte offset of record `number`, 1 to `records`, of a partition. */
function recordAt(sessions: Sessions, partition: number, number: number): number {
  return partition * sessions.stride + sessions.firstRecord + (number - 1) * SESSION_BYTES
}

function numberOf(sessions: Sessions, session: number): number {
  return (session - recordAt(sessions, sessions.partition, 1)) / SESSION_BYTES + 1
}

/** Info hash and peer id by which a session is found; the hash is that of the info hash. */
export type SessionKey = {
  user: number
  hash: number
  view: DataView
  hashAt: number
  idAt: number
}

/**
 * Takes the lock of the key's partition and returns the offset of the session, or 0 if there is
 * none. `releaseSession` must follow in any case.
 */
export function holdSession(sessions: Sessions, key: SessionKey): number {
  const mixed = mixKey(sessions, key)
  sessions.partition = mixed & (PARTITIONS - 1)
  const head = headOf(sessions, sessions.partition)
  takeLock(sessions, head + PARTITION_LOCK)
  const { u32 } = sessions
  let number = u32[chainAt(sessions, head, mixed) >> 2]!
  while (number !== 0) {
    const session = recordAt(sessions, sessions.partition, number)
    if (isKey(sessions, session, key)) return session
    number = u32[(session + SESSION_NEXT) >> 2]!
  }
  return 0
}

export function releaseSession(sessions: Sessions): void {
  releaseLock(sessions, headOf(sessions, sessions.partition) + PARTITION_LOCK)
}

/** Adds a session to the held partition. Returns 0 if every record has several peers. */
export function addSession(sessions: Sessions, key: SessionKey): number {
  const { u8, u32, partition } = sessions
  const head = headOf(sessions, partition)
  const number = takeRecord(sessions, head)
  if (number === 0) return 0
  const session = recordAt(sessions, partition, number)
  u8.fill(0, session, session + SESSION_BYTES)
  u32[(session + SESSION_USER) >> 2] = key.user
  for (let n = 0; n < HASH_BYTES; n++) {
    u8[session + SESSION_HASH + n] = key.view.getUint8(key.hashAt + n)
    u8[session + SESSION_PEER_ID + n] = key.view.getUint8(key.idAt + n)
  }
  const chain = chainAt(sessions, head, mixKey(sessions, key)) >> 2
  u32[(session + SESSION_NEXT) >> 2] = u32[chain]!
  u32[chain] = number
  u32[(head + PARTITION_COUNT) >> 2]!++
  appendNewest(sessions, head, session, number)
  return session
}

function mixKey(sessions: Sessions, { user, hash, view, idAt }: SessionKey): number {
  const id = hashInfoHash(sessions.hashKey, view, idAt)
  return id ^ Math.imul(hash, 0x9e3779b1) ^ Math.imul(user, 0x85ebca6b)
}

function chainAt(sessions: Sessions, head: number, mixed: number): number {
  return head + PARTITION_HEAD_BYTES + ((mixed >>> 8) & (sessions.chains - 1)) * 4
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
    if (isPinned(sessions, session)) pinned++
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
  let link = chainAt(sessions, head, mixKey(sessions, key)) >> 2
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

function isChanged(sessions: Sessions, session: number): boolean {
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
