import { Failure } from '../protocol/failures.ts'
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
  createUsers,
  isActiveUser,
  openUsers,
  type SharedUsers,
  type Users,
} from './tables/users.ts'

/** Entries that the tables have room for. It is address space, and used as they come. */
const LISTED_MAX = 8_000_000
const USERS_MAX = 4_000_000

export type AccessRules = {
  readonly whitelist: boolean
  readonly blacklist: boolean
  readonly keys: boolean
  readonly users: boolean
}

/** Everybody may announce everything. */
export const NO_RULES: AccessRules = {
  whitelist: false,
  blacklist: false,
  keys: false,
  users: false,
}

/** The tables of the rules that are on, as threads hand them to each other. */
export type SharedAccess = {
  /** Info hashes; the values mean nothing. */
  readonly whitelist: SharedHashTable | undefined
  readonly blacklist: SharedHashTable | undefined
  /** Keys, with the Unix second at which each ends, 0 for never. */
  readonly keys: SharedHashTable | undefined
  /** Keys of users, with the number of each user's record. */
  readonly userKeys: SharedHashTable | undefined
  readonly users: SharedUsers | undefined
}

/** Who may announce what: asked for every announce, changed by the admin room. */
export type Access = {
  readonly whitelist: HashTable | undefined
  readonly blacklist: HashTable | undefined
  readonly keys: HashTable | undefined
  readonly userKeys: HashTable | undefined
  readonly users: Users | undefined
  /** Number of the user who asked last; 0 for nobody. */
  user: number
}

export function createAccess(rules: AccessRules, hashKey: HashKey): SharedAccess {
  const table = (on: boolean, entries: number) =>
    on ? createHashTable(entries, hashKey) : undefined
  return {
    whitelist: table(rules.whitelist, LISTED_MAX),
    blacklist: table(rules.blacklist, LISTED_MAX),
    keys: table(rules.keys, LISTED_MAX),
    userKeys: table(rules.users, USERS_MAX),
    users: rules.users ? createUsers(USERS_MAX) : undefined,
  }
}

export function openAccess(shared: SharedAccess): Access {
  const { whitelist, blacklist, keys, userKeys, users } = shared
  return {
    whitelist: whitelist && openHashTable(whitelist),
    blacklist: blacklist && openHashTable(blacklist),
    keys: keys && openHashTable(keys),
    userKeys: userKeys && openHashTable(userKeys),
    users: users && openUsers(users),
    user: 0,
  }
}

/** Whether the key at `keyAt` and the user's at `userKeyAt` are good; notes the user. */
export function checkKeys(
  access: Access,
  view: DataView,
  keyAt: number,
  userKeyAt: number,
  nowSeconds: number,
): Failure {
  access.user = 0
  if (access.keys) {
    const ends = findValue(access.keys, view, keyAt)
    if (ends === ABSENT || (ends !== 0 && ends <= nowSeconds)) return Failure.unknownKey
  }
  if (access.userKeys && access.users) {
    const user = findValue(access.userKeys, view, userKeyAt)
    if (user === ABSENT) return Failure.unknownUserKey
    if (!isActiveUser(access.users, user)) return Failure.inactiveUser
    access.user = user
  }
  return Failure.none
}

/** Whether the torrent whose info hash lies at `at` and hashes to `hash` may be announced to. */
export function checkInfoHash(access: Access, hash: number, view: DataView, at: number): Failure {
  if (access.whitelist && findHashed(access.whitelist, hash, view, at) === ABSENT) {
    return Failure.notWhitelisted
  }
  if (access.blacklist && findHashed(access.blacklist, hash, view, at) !== ABSENT) {
    return Failure.blacklisted
  }
  return Failure.none
}
