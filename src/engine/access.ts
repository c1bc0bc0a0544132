import { Failure } from '../protocol/failures.ts'
import { HASH_BYTES } from '../protocol/records.ts'
import { createFactors, type FactorTables, openFactors, type SharedFactors } from './factors.ts'
import {
  ABSENT,
  createHashTable,
  findHashed,
  findValue,
  type HashTable,
  openHashTable,
  type SharedHashTable,
} from './tables/hash-table.ts'
import type { HashKey } from './tables/keyed-hash.ts'
import {
  type Credit,
  createUsers,
  type Factors,
  isActiveUser,
  ONE,
  openUsers,
  type SharedUsers,
  type Users,
} from './user-records.ts'

/**
 * Entries that fit into the tables. A table reserves address space, and uses memory as it fills.
 */
const LISTED_MAX = 4_000_000
const KEYS_MAX = 4_000_000
const USERS_MAX = 2_000_000

/** Which lists and keys an announce is checked against. */
export type AccessRules = {
  readonly whitelist: boolean
  readonly blacklist: boolean
  readonly keys: boolean
  readonly users: boolean
  /** Whether scrapes need no key. */
  readonly anonymousScrape?: boolean
  /** Whether announces need the key of a user, where users are on. Default true. */
  readonly usersRequired?: boolean
  /** Whether scrapes need keys; without, only those that they have are checked. Default true. */
  readonly scrapeNeedsKey?: boolean
  /** Whether users that are not active are refused. Default true. */
  readonly refuseInactiveUsers?: boolean
}

/** Every client may announce every torrent. */
export const NO_RULES: AccessRules = {
  whitelist: false,
  blacklist: false,
  keys: false,
  users: false,
}

/**
 * The shared memory of the access tables. They exist, and can be changed, whether or not their rule
 * is on.
 */
export type SharedAccess = {
  readonly rules: AccessRules
  /** Info hashes. The values have no meaning. */
  readonly whitelist: SharedHashTable
  readonly blacklist: SharedHashTable
  /** Keys, with the Unix second at which each expires, 0 for never. */
  readonly keys: SharedHashTable
  /** Keys of users, with the number of each user's record. */
  readonly userKeys: SharedHashTable
  readonly users: SharedUsers
  readonly factors: SharedFactors
}

/**
 * The access tables as one thread sees them: read for every announce, changed by the admin module.
 */
export type Access = {
  rules: AccessRules
  readonly whitelist: HashTable
  readonly blacklist: HashTable
  readonly keys: HashTable
  readonly userKeys: HashTable
  readonly users: Users
  readonly factors: FactorTables
  /** The factors in force for the current announce. Reused. */
  readonly inForce: Factors
  /** Number of the user that sent the current request; 0 for none. */
  user: number
  /** Unix time by the system clock, by which keys expire. */
  realSeconds: () => number
  /** Reused for each announce of a user. */
  readonly credit: Credit
}

export function createAccess(rules: AccessRules, hashKey: HashKey): SharedAccess {
  return {
    rules,
    whitelist: createHashTable(LISTED_MAX, hashKey),
    blacklist: createHashTable(LISTED_MAX, hashKey),
    keys: createHashTable(KEYS_MAX, hashKey),
    userKeys: createHashTable(USERS_MAX, hashKey),
    users: createUsers(USERS_MAX),
    factors: createFactors(hashKey),
  }
}

export function openAccess(shared: SharedAccess): Access {
  return {
    rules: shared.rules,
    whitelist: openHashTable(shared.whitelist),
    blacklist: openHashTable(shared.blacklist),
    keys: openHashTable(shared.keys),
    userKeys: openHashTable(shared.userKeys),
    users: openUsers(shared.users),
    factors: openFactors(shared.factors),
    inForce: { upload: ONE, download: ONE, until: 0 },
    user: 0,
    realSeconds: () => Math.floor(Date.now() / 1000),
    credit: { uploaded: 0, downloaded: 0, completed: 0, flags: 0, nowSeconds: 0 },
  }
}

/**
 * Checks the key at `keyAt` and the user key at `userKeyAt`, and remembers the user. A key that may
 * be absent, and is, has 20 zero bytes.
 */
export function checkKeys(
  access: Access,
  view: DataView,
  keyAt: number,
  userKeyAt: number,
  isScrape = false,
): Failure {
  const { rules } = access
  access.user = 0
  const isOptional = isScrape && rules.scrapeNeedsKey === false
  if (rules.keys && !(isOptional && isAbsent(view, keyAt))) {
    const ends = findValue(access.keys, view, keyAt)
    if (ends === ABSENT || (ends !== 0 && ends <= access.realSeconds())) return Failure.unknownKey
  }
  if (rules.users) {
    const mayLack = isOptional || rules.usersRequired === false
    if (mayLack && isAbsent(view, userKeyAt)) return Failure.none
    const user = findValue(access.userKeys, view, userKeyAt)
    if (user === ABSENT) return Failure.unknownUserKey
    if (rules.refuseInactiveUsers !== false && !isActiveUser(access.users, user)) {
      return Failure.inactiveUser
    }
    access.user = user
  }
  return Failure.none
}

function isAbsent(view: DataView, at: number): boolean {
  for (let n = 0; n < HASH_BYTES; n += 4) if (view.getInt32(at + n) !== 0) return false
  return true
}

/** The number of the user whose key is at `userKeyAt`, active or not; 0 for none. */
export function findUser({ rules, userKeys }: Access, view: DataView, userKeyAt: number): number {
  const user = rules.users ? findValue(userKeys, view, userKeyAt) : 0
  return user === ABSENT ? 0 : user
}

/** Checks the torrent whose info hash lies at `at` and hashes to `hash` against the lists. */
export function checkInfoHash(access: Access, hash: number, view: DataView, at: number): Failure {
  if (access.rules.whitelist && findHashed(access.whitelist, hash, view, at) === ABSENT) {
    return Failure.notWhitelisted
  }
  if (access.rules.blacklist && findHashed(access.blacklist, hash, view, at) !== ABSENT) {
    return Failure.blacklisted
  }
  return Failure.none
}
