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

/**
 * A session. Offsets in bytes from its start. An announce of a known seeder over IPv4 touches the
 * first two cache lines only.
 */
export const SESSION_NEXT = 0 //            u32, the next record of the chain, or of the free list
export const SESSION_USER = 4 //            u32, number of the user record
export const SESSION_HASH = 8 //            20, info hash
export const SESSION_PEER_ID = 28 //        20
export const SESSION_UPLOADED = 48 //       f64, highest count reported since the client started
export const SESSION_DOWNLOADED = 56 //     f64
/** Not yet written to the database: bytes as reported, bytes as credited, seconds, downloads. */
export const SESSION_NEW_UP = 64 //         f64
export const SESSION_NEW_DOWN = 72 //       f64
export const SESSION_NEW_CREDIT_UP = 80 //  f64
export const SESSION_NEW_CREDIT_DOWN = 88 // f64
/** Bytes credited beyond the maximum rate, which a session may be until the burst is used up. */
export const SESSION_AHEAD_UP = 96 //       f32
export const SESSION_AHEAD_DOWN = 100 //    f32
export const SESSION_SEEN = 104 //          u32, Unix seconds of the last announce
export const SESSION_STATE = 108 //         u32, bits of SessionState
export const SESSION_NEW_SEEDING = 112 //   u32, seconds
export const SESSION_ENDPOINTS = 116 //     u32, addresses in use, those that announced last first
export const SESSION_ADDRESSES = 120 //     ENDPOINTS_MAX of ENDPOINT_BYTES
/** Final counts before the client was restarted, by which a repeated `stopped` is recognized. */
export const SESSION_FINAL_UP = 200 //      f64
export const SESSION_FINAL_DOWN = 208 //    f64
export const SESSION_LEFT = 216 //          f64, bytes; 0 with SessionState.seeder
export const SESSION_NEW_IDLE_UP = 224 //   f64, upload reported while the torrent had no leecher
export const SESSION_OLDER = 232 //         u32
export const SESSION_NEWER = 236 //         u32
export const SESSION_STAMP = 240 //         u32, SESSION_SEEN when it was appended to the list by age
export const SESSION_FIRST = 244 //         u32, Unix seconds of the first announce
export const SESSION_NEW_COMPLETED = 248 // u32
export const SESSION_RESTARTED = 252 //     u32, Unix seconds
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

/** Maximum size of a bank, so that offsets are small integers to V8. */
const BANK_BYTES_MAX = 2 ** 30

export type SharedSessions = {
  /**
   * The heads of all partitions, their bits of changed records, the filter, and the chain tables.
   * All but the last are small and used for each announce, so they share few pages.
   */
  readonly indexMemory: SharedArrayBuffer
  /**
   * The records. Each bank holds those of equally many successive partitions: the first record of
   * each of them, then the second of each, so that memory is used from its beginning, in whole huge
   * pages. A record of each partition in front is not used, because 0 stands for no session.
   */
  readonly banks: readonly SharedArrayBuffer[]
  /** Records of each partition, a multiple of 32. */
  readonly records: number
  readonly hashKey: HashKey
  /** Undefined for a single node; see shared-sessions.ts. */
  readonly runMemory: SharedArrayBuffer | undefined
}

/** The records of a bank as one thread sees them. */
type Bank = {
  readonly u8: Uint8Array<SharedArrayBuffer>
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f32: Float32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
}

/**
 * The table as one thread sees it, and the partition that the thread holds, whose bank is `u8`,
 * `i32`, `u32`, `f32` and `f64`.
 */
export type Sessions = Omit<SharedSessions, 'banks'> & {
  readonly index: {
    readonly i32: Int32Array<SharedArrayBuffer>
    readonly u32: Uint32Array<SharedArrayBuffer>
  }
  readonly banks: readonly Bank[]
  /** Partitions of a bank, a power of two, less 1. */
  readonly bankMask: number
  /** Entries of a partition's chain table, a power of two. */
  readonly chains: number
  /** Offset of the chain tables in the index. */
  readonly chainsAt: number
  /** Set by `choosePartition`. */
  partition: number
  bank: number
  u8: Bank['u8']
  i32: Bank['i32']
  u32: Bank['u32']
  f32: Bank['f32']
  f64: Bank['f64']
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
  const bytes = PARTITIONS * records * SESSION_BYTES
  const bankCount = 2 ** Math.ceil(Math.log2(Math.max(1, bytes / BANK_BYTES_MAX)))
  const bankBytes = ((records + 1) * PARTITIONS * SESSION_BYTES) / bankCount
  const banks = Array.from({ length: bankCount }, () => new SharedArrayBuffer(bankBytes))
  const indexBytes = chainsStart(records) + PARTITIONS * chainsOf(records) * 4
  const runMemory = isShared ? new SharedArrayBuffer(PARTITIONS * records * RUN_BYTES) : undefined
  return { indexMemory: new SharedArrayBuffer(indexBytes), banks, records, hashKey, runMemory }
}

/** A run of a client: its lowest counts, and its number. Offsets in bytes. */
export const RUN_BASE_UP = 0 //   f64
export const RUN_BASE_DOWN = 8 // f64
export const RUN_NUMBER = 16 //   u32
/** Four spare bytes align the next run. */
const RUN_BYTES = 24

/** The runs as one thread sees them. */
export type Runs = { readonly f64: Float64Array; readonly u32: Uint32Array }

/** Offset of the run of a session in the held partition. */
export function runAt(sessions: Sessions, session: number): number {
  return (sessions.partition * sessions.records + numberOf(sessions, session) - 1) * RUN_BYTES
}

export function openSessions(shared: SharedSessions, users: Users): Sessions {
  const { indexMemory, records, runMemory } = shared
  const banks = shared.banks.map(openBank)
  return {
    ...shared,
    ...banks[0]!,
    index: { i32: new Int32Array(indexMemory), u32: new Uint32Array(indexMemory) },
    banks,
    bankMask: PARTITIONS / banks.length - 1,
    chains: chainsOf(records),
    chainsAt: chainsStart(records),
    partition: 0,
    bank: 0,
    runs: runMemory && { f64: new Float64Array(runMemory), u32: new Uint32Array(runMemory) },
    users,
  }
}

function openBank(memory: SharedArrayBuffer): Bank {
  return {
    u8: new Uint8Array(memory),
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    f32: new Float32Array(memory),
    f64: new Float64Array(memory),
  }
}

/** Bytes of memory that a session takes when the table is full, index included. */
export function bytesPerSession({ banks, indexMemory, records }: SharedSessions): number {
  const bytes = banks.reduce((sum, bank) => sum + bank.byteLength, indexMemory.byteLength)
  return bytes / (records * PARTITIONS)
}

/** Makes `partition` the one that functions about sessions refer to. The caller takes its lock. */
export function choosePartition(sessions: Sessions, partition: number): void {
  sessions.partition = partition
  const bank = Math.floor(partition / (sessions.bankMask + 1))
  if (bank !== sessions.bank) chooseBank(sessions, bank)
}

function chooseBank(sessions: Sessions, bank: number): void {
  const { u8, i32, u32, f32, f64 } = sessions.banks[bank]!
  sessions.bank = bank
  sessions.u8 = u8
  sessions.i32 = i32
  sessions.u32 = u32
  sessions.f32 = f32
  sessions.f64 = f64
}

function chainsOf(records: number): number {
  return 2 ** Math.ceil(Math.log2(records))
}

/** A bit for each record of a partition that waits to be written, in whole cache lines. */
function changedBytes(records: number): number {
  return Math.ceil(records / 32 / 16) * 64
}

function filterStart(records: number): number {
  return PARTITIONS * (PARTITION_HEAD_BYTES + changedBytes(records))
}

function chainsStart(records: number): number {
  return filterStart(records) + FILTER_ENTRIES * 4
}

/** Offset of a partition's head in the index. */
export function headOf(partition: number): number {
  return partition * PARTITION_HEAD_BYTES
}

/** Offset of the bits of the held partition in the index. */
export function changedAt({ partition, records }: Sessions): number {
  return PARTITIONS * PARTITION_HEAD_BYTES + partition * changedBytes(records)
}

/** Word of the index with the filter's counter for a torrent of this hash. */
export function filterWord({ chainsAt }: Sessions, hash: number): number {
  return (chainsAt >> 2) - FILTER_ENTRIES + ((hash >>> 12) & (FILTER_ENTRIES - 1))
}

/** Byte offset of record `number`, 1 to `records`, of the held partition. */
export function recordAt(sessions: Sessions, number: number): number {
  const { bankMask, partition } = sessions
  return (number * (bankMask + 1) + (partition & bankMask)) * SESSION_BYTES
}

export function numberOf({ bankMask }: Sessions, session: number): number {
  return (session / (SESSION_BYTES * (bankMask + 1))) | 0
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
  return mixOf(user, hash)
}

function mixOf(user: number, hash: number): number {
  const mixed = Math.imul(hash ^ Math.imul(user, 0x85ebca6b), 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** The first session of the key's chain, in the held partition; 0 if there is none. */
export function chainFirst(sessions: Sessions, key: SessionKey): number {
  const number = sessions.index.u32[chainWord(sessions, mixKey(key))]!
  return number === 0 ? 0 : recordAt(sessions, number)
}

/** The session after `session` in its chain; 0 at the end. */
export function chainNext(sessions: Sessions, session: number): number {
  const number = sessions.u32[(session + SESSION_NEXT) >> 2]!
  return number === 0 ? 0 : recordAt(sessions, number)
}

/** Word of the index that holds the number of the first record of a chain. */
export function chainWord(sessions: Sessions, mixed: number): number {
  return chainWordOf(sessions, sessions.partition, mixed)
}

/** Reads a user's session of a torrent, if it is the first of its chain; see touch.ts. */
export function touchSession(sessions: Sessions, user: number, hash: number): number {
  const { bankMask, banks, index } = sessions
  const mixed = mixOf(user, hash)
  const partition = mixed & (PARTITIONS - 1)
  const number = index.u32[chainWordOf(sessions, partition, mixed)]!
  const { u32 } = banks.length === 1 ? sessions : banks[Math.floor(partition / (bankMask + 1))]!
  const session = (number * (bankMask + 1) + (partition & bankMask)) * SESSION_BYTES
  return u32[session >> 2]! ^ u32[(session + SESSION_SEEN) >> 2]!
}

function chainWordOf({ chains, chainsAt }: Sessions, partition: number, mixed: number): number {
  return (chainsAt >> 2) + partition * chains + ((mixed >>> 8) & (chains - 1))
}
