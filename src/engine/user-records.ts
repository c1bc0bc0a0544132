import { releaseLock, takeLock } from './tables/lock.ts'

/**
 * The totals of users, one record each in shared memory. The hash table of user keys maps a key to
 * the number of its record; number 0 stands for no user. Offsets in bytes.
 */
const USER_LOCK = 0 //        i32, see lock.ts; the rest is changed under it
const USER_CHANGED = 4 //     i32, 1 while the record has something that is not yet written
const USER_ACTIVE = 8 //      i32, 1 when the user may announce
const USER_COMPLETED = 12 //  u32
const USER_UPDATED = 16 //    u32, Unix seconds of the last announce
const USER_FLAGS = 20 //      u32, bits of UserFlag
const USER_UPLOADED = 24 //   u64, bytes, at most TOTAL_MAX
const USER_DOWNLOADED = 32 // u64, bytes, at most TOTAL_MAX
/** Factors of the user's credit, less 1, in thousandths, and the Unix second of their end or 0. */
const USER_FACTOR_UP = 40 //    i32
const USER_FACTOR_DOWN = 44 //  i32
const USER_FACTOR_UNTIL = 48 // u32
const USER_DOWNLOADING = 52 //  u32, torrents that the user is downloading
/** Changes of evicted sessions that are not written to the database yet. */
const USER_NEW_UP = 64 //        f64
const USER_NEW_DOWN = 72 //      f64
const USER_NEW_COMPLETED = 80 // u32
/** The user's key, by which other nodes know the user. */
const USER_KEY_BYTES = 84 //     20 bytes
/**
 * Two cache lines, so that two users' announces do not slow each other down. Most announces touch
 * the first one only.
 */
const USER_BYTES = 128

/** Totals stay at this value when they reach it: the largest that a signed 64-bit column holds. */
export const TOTAL_MAX = 2n ** 63n - 1n

export const UserFlag = {
  /** Counts of one of the user's sessions grew faster than is plausible. */
  grewTooFast: 1,
} as const

export type SharedUsers = SharedArrayBuffer

export type Users = {
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
}

export type UserTotals = {
  active: boolean
  uploaded: bigint
  downloaded: bigint
  completed: number
  updated: number
}

/** The totals of an empty record. */
export const NO_TOTALS: UserTotals = {
  active: false,
  uploaded: 0n,
  downloaded: 0n,
  completed: 0,
  updated: 0,
}

/** Reserves address space for users 1 to `usersMax`; memory is used as users are added. */
export function createUsers(usersMax: number): SharedUsers {
  return new SharedArrayBuffer((usersMax + 1) * USER_BYTES)
}

export function openUsers(memory: SharedUsers): Users {
  return {
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    f64: new Float64Array(memory),
  }
}

/** The largest number that a user of this table can have. */
export function userNumberMax(users: Users): number {
  return users.i32.byteLength / USER_BYTES - 1
}

export function isActiveUser(users: Users, user: number): boolean {
  return users.i32[(user * USER_BYTES + USER_ACTIVE) >> 2] === 1
}

/**
 * Additions to a user's totals by one announce: bytes, downloads and flags, with its time in Unix
 * seconds.
 */
export type Credit = {
  uploaded: number
  downloaded: number
  completed: number
  flags: number
  nowSeconds: number
}

/** Adds the credit to the user's totals. */
export function creditUser(users: Users, user: number, credit: Credit): void {
  const at = user * USER_BYTES
  if (isNothing(credit)) {
    users.u32[(at + USER_UPDATED) >> 2] = credit.nowSeconds
    return
  }
  takeLock(users, at + USER_LOCK)
  addBytes(users.u32, (at + USER_UPLOADED) >> 2, credit.uploaded)
  addBytes(users.u32, (at + USER_DOWNLOADED) >> 2, credit.downloaded)
  users.u32[(at + USER_COMPLETED) >> 2]! += credit.completed
  users.u32[(at + USER_UPDATED) >> 2] = credit.nowSeconds
  if (credit.flags !== 0) users.u32[(at + USER_FLAGS) >> 2]! |= credit.flags
  releaseLock(users, at + USER_LOCK)
}

function isNothing({ uploaded, downloaded, completed, flags }: Credit): boolean {
  return uploaded === 0 && downloaded === 0 && completed === 0 && flags === 0
}

/** Adds a whole number below 2^53 to the u64 at `word`, which stops at TOTAL_MAX. */
function addBytes(u32: Uint32Array, word: number, bytes: number): void {
  if (bytes === 0) return
  // Not the operator %, which is a function call for a number that is not a small integer.
  const units = Math.floor(bytes / 0x1_0000_0000)
  const low = u32[word]! + (bytes - units * 0x1_0000_0000)
  const high = u32[word + 1]! + units + (low >= 0x1_0000_0000 ? 1 : 0)
  const isFull = high > 0x7fff_ffff
  u32[word] = isFull ? 0xffff_ffff : low
  u32[word + 1] = isFull ? 0x7fff_ffff : high
}

function readBytes(u32: Uint32Array, word: number): bigint {
  return (BigInt(u32[word + 1]!) << 32n) | BigInt(u32[word]!)
}

function writeBytes(u32: Uint32Array, word: number, bytes: bigint): void {
  const value = bytes < 0n ? 0n : bytes > TOTAL_MAX ? TOTAL_MAX : bytes
  u32[word] = Number(value & 0xffff_ffffn)
  u32[word + 1] = Number(value >> 32n)
}

export function readUser(users: Users, user: number): UserTotals {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  const totals = {
    active: users.i32[(at + USER_ACTIVE) >> 2] === 1,
    uploaded: readBytes(users.u32, (at + USER_UPLOADED) >> 2),
    downloaded: readBytes(users.u32, (at + USER_DOWNLOADED) >> 2),
    completed: users.u32[(at + USER_COMPLETED) >> 2]!,
    updated: users.u32[(at + USER_UPDATED) >> 2]!,
  }
  releaseLock(users, at + USER_LOCK)
  return totals
}

/**
 * Sets the user's totals, where the database held `known` before and holds `totals` now. The
 * growth since `known` is added to `totals`, because it is not written yet.
 */
export function writeUser(users: Users, user: number, totals: UserTotals, known = NO_TOTALS): void {
  const at = user * USER_BYTES
  const { u32 } = users
  const shift = (word: number, next: bigint, before: bigint) =>
    writeBytes(u32, word, readBytes(u32, word) + next - before)
  takeLock(users, at + USER_LOCK)
  shift((at + USER_UPLOADED) >> 2, totals.uploaded, known.uploaded)
  shift((at + USER_DOWNLOADED) >> 2, totals.downloaded, known.downloaded)
  u32[(at + USER_COMPLETED) >> 2]! += totals.completed - known.completed
  u32[(at + USER_UPDATED) >> 2] = totals.updated
  Atomics.store(users.i32, (at + USER_ACTIVE) >> 2, totals.active ? 1 : 0)
  releaseLock(users, at + USER_LOCK)
}

/** Sets whether the user may announce. */
export function setActive(users: Users, user: number, active: boolean): void {
  Atomics.store(users.i32, (user * USER_BYTES + USER_ACTIVE) >> 2, active ? 1 : 0)
}

/** Stores the user's key of 20 bytes, by which other nodes know the user. */
export function writeUserKey(users: Users, user: number, key: Uint8Array): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  new Uint8Array(users.u32.buffer, at + USER_KEY_BYTES, key.length).set(key)
  releaseLock(users, at + USER_LOCK)
}

/** Copies the user's key of 20 bytes to `out` at `to`. */
export function copyUserKey(users: Users, user: number, out: Uint8Array, to: number): void {
  out.set(new Uint8Array(users.u32.buffer, user * USER_BYTES + USER_KEY_BYTES, 20), to)
}

/** Empties the record, for another user. */
export function clearUser(users: Users, user: number): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  users.u32.fill(0, (at + USER_CHANGED) >> 2, (at + USER_BYTES) >> 2)
  releaseLock(users, at + USER_LOCK)
}

export function userFlags(users: Users, user: number): number {
  return Atomics.load(users.u32, (user * USER_BYTES + USER_FLAGS) >> 2)
}

/** Changes of evicted sessions of the user that are not written to the database yet. */
export type Unwritten = { uploaded: number; downloaded: number; completed: number }

export function addUnwritten(users: Users, user: number, unwritten: Unwritten): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  users.f64[(at + USER_NEW_UP) >> 3]! += unwritten.uploaded
  users.f64[(at + USER_NEW_DOWN) >> 3]! += unwritten.downloaded
  users.u32[(at + USER_NEW_COMPLETED) >> 2]! += unwritten.completed
  users.i32[(at + USER_CHANGED) >> 2] = 1
  releaseLock(users, at + USER_LOCK)
}

/** Returns and clears these changes. Returns undefined if there are none. */
export function takeUnwritten(users: Users, user: number): Unwritten | undefined {
  const at = user * USER_BYTES
  if (Atomics.load(users.i32, (at + USER_CHANGED) >> 2) === 0) return undefined
  takeLock(users, at + USER_LOCK)
  const unwritten = {
    uploaded: users.f64[(at + USER_NEW_UP) >> 3]!,
    downloaded: users.f64[(at + USER_NEW_DOWN) >> 3]!,
    completed: users.u32[(at + USER_NEW_COMPLETED) >> 2]!,
  }
  users.f64[(at + USER_NEW_UP) >> 3] = 0
  users.f64[(at + USER_NEW_DOWN) >> 3] = 0
  users.u32[(at + USER_NEW_COMPLETED) >> 2] = 0
  users.i32[(at + USER_CHANGED) >> 2] = 0
  releaseLock(users, at + USER_LOCK)
  return unwritten
}

/** Counts a torrent that the user begins or stops to download. */
export function addDownloading(users: Users, user: number, begins: boolean): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  const word = (at + USER_DOWNLOADING) >> 2
  if (begins) users.u32[word]!++
  else if (users.u32[word]! > 0) users.u32[word]!--
  releaseLock(users, at + USER_LOCK)
}

/** Torrents that the user is downloading. */
export function downloadingOf(users: Users, user: number): number {
  return Atomics.load(users.u32, (user * USER_BYTES + USER_DOWNLOADING) >> 2)
}

/** Clears flags of the user. */
export function clearUserFlags(users: Users, user: number): void {
  Atomics.store(users.u32, (user * USER_BYTES + USER_FLAGS) >> 2, 0)
}

/** Sets flags of the user, such as those of restored sessions. */
export function addUserFlags(users: Users, user: number, flags: number): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  users.u32[(at + USER_FLAGS) >> 2]! |= flags
  releaseLock(users, at + USER_LOCK)
}

/** A factor of 1, in thousandths. */
export const ONE = 1000

/** Factors in thousandths, and the Unix second at which they end; 0 for never. */
export type Factors = { upload: number; download: number; until: number }

/** Sets the factors of a user, in thousandths. */
export function writeFactors(users: Users, user: number, factors: Factors): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  // No thread sees a new factor with an old end.
  Atomics.store(users.i32, (at + USER_FACTOR_UP) >> 2, 0)
  Atomics.store(users.i32, (at + USER_FACTOR_DOWN) >> 2, 0)
  Atomics.store(users.u32, (at + USER_FACTOR_UNTIL) >> 2, factors.until)
  Atomics.store(users.i32, (at + USER_FACTOR_UP) >> 2, factors.upload - ONE)
  Atomics.store(users.i32, (at + USER_FACTOR_DOWN) >> 2, factors.download - ONE)
  releaseLock(users, at + USER_LOCK)
}

/** Writes the user's factors in force into `factors`. */
export function readFactors(
  users: Users,
  user: number,
  nowSeconds: number,
  factors: Factors,
): void {
  const at = user * USER_BYTES
  const until = users.u32[(at + USER_FACTOR_UNTIL) >> 2]!
  const hasEnded = until !== 0 && until <= nowSeconds
  factors.until = until
  factors.upload = hasEnded ? ONE : ONE + users.i32[(at + USER_FACTOR_UP) >> 2]!
  factors.download = hasEnded ? ONE : ONE + users.i32[(at + USER_FACTOR_DOWN) >> 2]!
}
