import { setImmediate } from 'node:timers/promises'
import type { Table, UserRow } from '../database/database.ts'
import { clearEntries, removeEntry, setEntry } from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import { eachUserPeer } from '../engine/inspect.ts'
import {
  isUserChanged,
  markUserChanged,
  readUser,
  takeChangedUser,
  userNumberMax,
  writeUser,
} from '../engine/user-records.ts'
import { AdminError, type Outcome, storeFirst, type User, type UserEntry } from './admin.ts'

/** Users: who they are here and in the database, what they transferred in shared records. */
export type Users = {
  of(keys: readonly string[]): Promise<(User | undefined)[]>
  set(users: readonly UserEntry[]): Promise<Outcome[]>
  remove(keys: readonly string[]): Promise<Outcome[]>
  clear(): Promise<void>
  load(): Promise<number>
  /** Writes what announces changed to the database. Rejects when that fails, and tries the same again with the next call. */
  flush(): Promise<number>
  readonly size: number
  /** How many have counts that wait to be written. */
  readonly waiting: number
}

type Known = { readonly id: string; readonly number: number }

/** Seconds for which the number of a removed user is not given to another, whose peers its own would seem: longer than any `peers_timeout`. */
const FREED_SECONDS = 90_000
const NOBODY = { active: false, uploaded: 0, downloaded: 0, completed: 0, updated: 0 }
/** What announces change of a user; the rest is the operator's. */
const COUNTS = ['uploaded', 'downloaded', 'completed', 'updated'] as const

export function createUsers(
  engine: Engine,
  rows: Table<UserRow> | undefined,
  nowSeconds: () => number,
): Users {
  const { users: records, userKeys } = engine.access
  const byKey = new Map<string, Known>()
  const keyOfId = new Map<string, string>()
  const freed: { number: number; since: number }[] = []
  let nextNumber = 1

  const takeNumber = (): number => {
    const oldest = freed[0]
    if (oldest && nowSeconds() - oldest.since >= FREED_SECONDS) {
      freed.shift()
      return oldest.number
    }
    if (nextNumber > userNumberMax(records))
      throw new AdminError('database error', 'users are full')
    return nextNumber++
  }

  function enter(user: UserEntry): Outcome {
    const known = byKey.get(user.key)
    const formerKey = keyOfId.get(user.id)
    const former = formerKey === undefined ? undefined : byKey.get(formerKey)
    // One user has one id and one key: what another had of the two goes.
    if (formerKey !== undefined && formerKey !== user.key) {
      removeEntry(userKeys, formerKey)
      byKey.delete(formerKey)
      if (known && former) free(former.number)
    }
    if (known && known.id !== user.id) keyOfId.delete(known.id)
    const number = known?.number ?? former?.number ?? takeNumber()
    writeUser(records, number, user)
    setEntry(userKeys, user.key, number)
    byKey.set(user.key, { id: user.id, number })
    keyOfId.set(user.id, user.key)
    return known || former ? 'updated' : 'added'
  }

  function free(number: number): void {
    writeUser(records, number, NOBODY)
    freed.push({ number, since: nowSeconds() })
  }

  function forget(key: string): Outcome {
    const known = byKey.get(key)
    if (!known) return 'unknown'
    removeEntry(userKeys, key)
    byKey.delete(key)
    keyOfId.delete(known.id)
    free(known.number)
    return 'deleted'
  }

  return {
    get size() {
      return byKey.size
    },
    get waiting() {
      let waiting = 0
      for (let number = 1; number < nextNumber; number++) {
        if (isUserChanged(records, number)) waiting++
      }
      return waiting
    },
    async of(keys) {
      const numbers = new Map<number, [string, number][]>()
      for (const key of keys) {
        const known = byKey.get(key)
        if (known) numbers.set(known.number, [])
      }
      if (numbers.size > 0) await collectTorrents(engine, numbers)
      return keys.map(key => {
        const known = byKey.get(key)
        if (!known) return undefined
        const torrentsActive = numbers.get(known.number) ?? []
        return { id: known.id, key, ...readUser(records, known.number), torrentsActive }
      })
    },
    async set(users) {
      await storeFirst(rows?.save(users))
      return users.map(enter)
    },
    async remove(keys) {
      await storeFirst(rows?.remove(keys))
      return keys.map(forget)
    },
    async clear() {
      if (!engine.access.rules.users) throw new AdminError('not enabled', 'users not enabled')
      await storeFirst(rows?.clear())
      clearEntries(userKeys)
      for (const key of [...byKey.keys()]) forget(key)
    },
    async load() {
      if (!rows) return 0
      for await (const chunk of rows.load()) for (const row of chunk) enter(row)
      return byKey.size
    },
    async flush() {
      if (!rows) return 0
      const changed: UserRow[] = []
      for (const [key, { id, number }] of byKey) {
        const totals = takeChangedUser(records, number)
        if (totals) changed.push({ id, key, ...totals })
      }
      if (changed.length === 0) return 0
      try {
        await rows.update(changed, COUNTS)
      } catch (error) {
        for (const { key } of changed) {
          const known = byKey.get(key)
          if (known) markUserChanged(records, known.number)
        }
        throw error
      }
      return changed.length
    },
  }
}

/** Fills in the torrents in which these users, by number, have a peer, with when it was last seen. */
async function collectTorrents(
  engine: Engine,
  users: ReadonlyMap<number, [hash: string, seen: number][]>,
): Promise<void> {
  const seen = new Map<string, [string, number]>()
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    seen.clear()
    eachUserPeer(engine, stripe, (hash, user, at) => {
      const torrents = users.get(user)
      if (!torrents) return
      const name = hash.toString('hex')
      const entry = seen.get(`${user} ${name}`)
      if (entry) entry[1] = Math.max(entry[1], at)
      else {
        const made: [string, number] = [name, at]
        seen.set(`${user} ${name}`, made)
        torrents.push(made)
      }
    })
    if (stripe % 64 === 63) await setImmediate()
  }
}
