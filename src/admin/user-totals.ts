import type { UserSums } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import { readUser, TOTAL_MAX, type UserTotals, writeUser } from '../engine/user-records.ts'
import type { UserEntry } from './admin.ts'

const U32_MAX = 2 ** 32 - 1

/** Counts and times have 32 bits in memory. Greater ones stay at the limit instead of wrapping. */
export function totalsOf({
  active,
  uploaded,
  downloaded,
  completed,
  updated,
}: UserEntry): UserTotals {
  return {
    active,
    uploaded,
    downloaded,
    completed: Math.min(completed, U32_MAX),
    updated: Math.min(updated, U32_MAX),
  }
}

export function bound(bytes: bigint): bigint {
  return bytes > TOTAL_MAX ? TOTAL_MAX : bytes
}

/** Users' totals at the limit of the database instead of above it. */
export function boundTotals({ uploaded, downloaded }: UserEntry) {
  return { uploaded: bound(uploaded), downloaded: bound(downloaded) }
}

/** Sets the totals of a user in memory, unless they are no longer `before`. */
export function setSums(
  { access: { users } }: Engine,
  number: number,
  { completed, downloaded, uploaded }: UserSums,
  before: UserTotals,
): void {
  const now = readUser(users, number)
  const sums = { uploaded, downloaded, completed: Math.min(completed, U32_MAX) }
  if (!areEqual(now, before) || areEqual(now, sums)) return
  writeUser(users, number, { ...now, ...sums }, now)
}

function areEqual(a: UserSums, b: UserSums): boolean {
  return a.uploaded === b.uploaded && a.downloaded === b.downloaded && a.completed === b.completed
}
