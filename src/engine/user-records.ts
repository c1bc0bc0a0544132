import { releaseLock, takeLock } from './tables/lock.ts'

/**
 * The totals of users, one record each in shared memory. The hash table of user keys maps a key to
 * the number of its record; number 0 is no user. Offsets in bytes.
 */
const USER_LOCK = 0 // i32, see lock.ts; the rest is changed under it
const USER_CHANGED = 4 // i32, 1 while a change by an announce is not yet written to the database
const USER_ACTIVE = 8 // i32, 1 when the user may announce
const USER_COMPLETED = 12 // u32
const USER_UPDATED = 16 // u32, Unix seconds of the last announce
const USER_UPLOADED = 24 // f64, bytes
const USER_DOWNLOADED = 32 // f64, bytes
/** A cache line, so that two users' announces do not slow each other down. */
const USER_BYTES = 64

export type SharedUsers = SharedArrayBuffer

export type Users = {
  readonly i32: Int32Array<SharedArrayBuffer>
  readonly u32: Uint32Array<SharedArrayBuffer>
  readonly f64: Float64Array<SharedArrayBuffer>
}

export type UserTotals = {
  active: boolean
  uploaded: number
  downloaded: number
  completed: number
  updated: number
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
  return Atomics.load(users.i32, (user * USER_BYTES + USER_ACTIVE) >> 2) === 1
}

/** What an announce adds to a user's totals: bytes, downloads, and its time in Unix seconds. */
export type Credit = {
  uploaded: number
  downloaded: number
  completed: number
  nowSeconds: number
}

/** Adds the credit to the user's totals. */
export function creditUser(
  users: Users,
  user: number,
  { uploaded, downloaded, completed, nowSeconds }: Credit,
): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  users.f64[(at + USER_UPLOADED) >> 3]! += uploaded
  users.f64[(at + USER_DOWNLOADED) >> 3]! += downloaded
  users.u32[(at + USER_COMPLETED) >> 2]! += completed
  users.u32[(at + USER_UPDATED) >> 2] = nowSeconds
  users.i32[(at + USER_CHANGED) >> 2] = 1
  releaseLock(users, at + USER_LOCK)
}

export function readUser(users: Users, user: number): UserTotals {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  const totals = totalsAt(users, at)
  releaseLock(users, at + USER_LOCK)
  return totals
}

/** Replaces the user's totals, and marks them as written. */
export function writeUser(users: Users, user: number, totals: UserTotals): void {
  const at = user * USER_BYTES
  takeLock(users, at + USER_LOCK)
  users.f64[(at + USER_UPLOADED) >> 3] = totals.uploaded
  users.f64[(at + USER_DOWNLOADED) >> 3] = totals.downloaded
  users.u32[(at + USER_COMPLETED) >> 2] = totals.completed
  users.u32[(at + USER_UPDATED) >> 2] = totals.updated
  users.i32[(at + USER_CHANGED) >> 2] = 0
  Atomics.store(users.i32, (at + USER_ACTIVE) >> 2, totals.active ? 1 : 0)
  releaseLock(users, at + USER_LOCK)
}

/** Whether an announce changed the user since `takeChangedUser`. */
export function isUserChanged(users: Users, user: number): boolean {
  return Atomics.load(users.i32, (user * USER_BYTES + USER_CHANGED) >> 2) !== 0
}

/** The user's totals if an announce changed them since the last call, else undefined. */
export function takeChangedUser(users: Users, user: number): UserTotals | undefined {
  const at = user * USER_BYTES
  if (!isUserChanged(users, user)) return undefined
  takeLock(users, at + USER_LOCK)
  users.i32[(at + USER_CHANGED) >> 2] = 0
  const totals = totalsAt(users, at)
  releaseLock(users, at + USER_LOCK)
  return totals
}

/** Marks the user as changed again, after its totals could not be written. */
export function markUserChanged(users: Users, user: number): void {
  Atomics.store(users.i32, (user * USER_BYTES + USER_CHANGED) >> 2, 1)
}

function totalsAt(users: Users, at: number): UserTotals {
  return {
    active: users.i32[(at + USER_ACTIVE) >> 2] === 1,
    uploaded: users.f64[(at + USER_UPLOADED) >> 3]!,
    downloaded: users.f64[(at + USER_DOWNLOADED) >> 3]!,
    completed: users.u32[(at + USER_COMPLETED) >> 2]!,
    updated: users.u32[(at + USER_UPDATED) >> 2]!,
  }
}
