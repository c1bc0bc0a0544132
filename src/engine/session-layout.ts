import { BEGAN, GREW_TOO_FAST, STOPPED } from '../protocol/session-totals.ts'
import type { HashKey } from './tables/keyed-hash.ts'
import type { Users } from './user-records.ts'

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
/** Bytes credited beyond the maximum rate, which a session may be until the burst is used up. */
export const SESSION_AHEAD_UP = 248 //      f32
export const SESSION_AHEAD_DOWN = 252 //    f32
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
  stopped: STOPPED,
  /** The download of the session was counted. */
  completed: 2,
  /** The last announce reported nothing left. */
  seeder: 4,
  /** The counts grew faster than `accounting.max_rate` or `accounting.suspicious_rate`. */
  grewTooFast: GREW_TOO_FAST,
  /** The unwritten changes came from another node, which writes them too. Is not stored. */
  elsewhere: 16,
  /** The client began to count anew with `started`. */
  began: BEGAN,
} as const

/** Partitions of the table, each with its own lock. */
export const PARTITIONS = 256
/** Size of a partition relative to the mean: the hash does not spread records perfectly evenly. */
export const SLACK = 1.1

export const PARTITION_LOCK = 0 //   i32, see lock.ts
export const PARTITION_COUNT = 4 //  u32, records in use
export const PARTITION_FREE = 8 //   u32, the first free record
export const PARTITION_USED = 12 //  u32, records that were ever used
export const PARTITION_OLDEST = 16 // u32
export const PARTITION_NEWEST = 20 // u32
export const PARTITION_EVICTED = 24 // u32, wraps
export const PARTITION_CHANGED = 28 // u32, records that wait to be written
export const PARTITION_TOO_FAST = 32 // u32, wraps: announces whose counts grew too fast
export const PARTITION_HEAD_BYTES = 64

/**
 * Counters, by the torrent's hash, of torrents with a correction, so that others need no lookup.
 */
export const FILTER_ENTRIES = 65_536

/** Pinned records that an eviction skips before it gives up. */
export const EVICT_PINNED_MAX = 64

export type SharedSessions = {
  readonly memory: SharedArrayBuffer
  /** Records of each partition, a multiple of 32. */
  readonly records: number
  readonly hashKey: HashKey
  /** Undefined for a single node; see shared-sessions.ts. */
  readonly runMemory: SharedArrayBuffer | undefined
}

/** The table as one thread sees it, and the session that the thread holds. */
export type Sessions = SharedSessions & {
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f32: Float32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
  /** Entries of a partition's chain table, a power of two. */
  readonly chains: number
  /** Bytes of a partition, and offset of its first record. */
  readonly stride: number
  readonly firstRecord: number
  /** Partition of the held session. */
  partition: number
  /** Receives the unwritten counts of evicted sessions. */
  readonly users: Users
  readonly runs: Runs | undefined
}

/**
 * Reserves address space for about `sessionsMax` sessions; memory is used as sessions are added.
 * `isShared`: several nodes credit them.
 */
export function createSessions(
  sessionsMax: number,
  hashKey: HashKey,
  isShared: boolean,
): SharedSessions {
  const records = Math.ceil(Math.ceil((sessionsMax / PARTITIONS) * SLACK) / 32) * 32
  const bytes = partitionBytes(records) * PARTITIONS + FILTER_ENTRIES * 4
  const runMemory = isShared ? new SharedArrayBuffer(PARTITIONS * records * RUN_BYTES) : undefined
  return { memory: new SharedArrayBuffer(bytes), records, hashKey, runMemory }
}

/** A run of a client: its lowest counts, and its number. Offsets in bytes. */
export const RUN_BASE_UP = 0 //   f64
export const RUN_BASE_DOWN = 8 // f64
export const RUN_NUMBER = 16 //   u32
/** Downloads that announces to this node have added since its last write. */
export const RUN_COUNTED = 20 //  u32
const RUN_BYTES = 24

/** The runs as one thread sees them. */
export type Runs = { readonly f64: Float64Array; readonly u32: Uint32Array }

/** Offset of the run of a session in the held partition. */
export function runAt(sessions: Sessions, session: number): number {
  return (sessions.partition * sessions.records + numberOf(sessions, session) - 1) * RUN_BYTES
}

export function openSessions(shared: SharedSessions, users: Users): Sessions {
  const { memory, runMemory } = shared
  return {
    ...shared,
    runs: runMemory && { f64: new Float64Array(runMemory), u32: new Uint32Array(runMemory) },
    u8: new Uint8Array(memory),
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    f32: new Float32Array(memory),
    f64: new Float64Array(memory),
    chains: chainsOf(shared.records),
    stride: partitionBytes(shared.records),
    firstRecord: partitionBytes(shared.records) - shared.records * SESSION_BYTES,
    partition: 0,
    users,
  }
}

export function chainsOf(records: number): number {
  return 2 ** Math.ceil(Math.log2(records))
}

/** Head, chain table, a bit per record that waits to be written, and the records. */
export function partitionBytes(records: number): number {
  return (
    PARTITION_HEAD_BYTES + chainsOf(records) * 4 + changedBytes(records) + records * SESSION_BYTES
  )
}

export function changedBytes(records: number): number {
  return Math.ceil(records / 32 / 16) * 64
}

export function headOf(sessions: Sessions, partition: number): number {
  return partition * sessions.stride
}

export function changedAt(sessions: Sessions, partition: number): number {
  return headOf(sessions, partition) + PARTITION_HEAD_BYTES + sessions.chains * 4
}

/** Byte offset of record `number`, 1 to `records`, of a partition. */
export function recordAt(sessions: Sessions, partition: number, number: number): number {
  return partition * sessions.stride + sessions.firstRecord + (number - 1) * SESSION_BYTES
}

export function numberOf(sessions: Sessions, session: number): number {
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

/** All sessions of a user in a torrent are in one chain; see slots.ts. */
export function mixKey({ user, hash }: SessionKey): number {
  const mixed = Math.imul(hash ^ Math.imul(user, 0x85ebca6b), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** The first session of the key's chain, in the held partition; 0 if there is none. */
export function chainFirst(sessions: Sessions, key: SessionKey): number {
  const { u32, partition } = sessions
  const number = u32[chainAt(sessions, headOf(sessions, partition), mixKey(key)) >> 2]!
  return number === 0 ? 0 : recordAt(sessions, partition, number)
}

/** The session after `session` in its chain; 0 at the end. */
export function chainNext(sessions: Sessions, session: number): number {
  const number = sessions.u32[(session + SESSION_NEXT) >> 2]!
  return number === 0 ? 0 : recordAt(sessions, sessions.partition, number)
}

export function chainAt(sessions: Sessions, head: number, mixed: number): number {
  return head + PARTITION_HEAD_BYTES + ((mixed >>> 8) & (sessions.chains - 1)) * 4
}
