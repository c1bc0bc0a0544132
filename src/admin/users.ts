import { setImmediate } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import type { Batch, UserChange } from '../database/ledger-rows.ts'
import { clearEntries, keyBytesOf, removeEntry, setEntry } from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import { dropPeersOfUsers } from '../engine/leave.ts'
import { changedUsers, countSessions } from '../engine/session-batch.ts'
import {
  clearUser,
  NO_TOTALS,
  readUser,
  setActive,
  takeUnwritten,
  UserFlag,
  type UserTotals,
  userFlags,
  userNumberMax,
  writeUser,
  writeUserKey,
} from '../engine/user-records.ts'
import type { Logger } from '../log.ts'
import { Accounts, type SharedAccounts } from './accounts.ts'
import { collectTorrents, STRIPES_PER_TURN } from './active-torrents.ts'
import { AdminError, type Outcome, storeFirst, type User, type UserEntry } from './admin.ts'
import { Factors } from './factors.ts'
import { UserReports } from './user-reports.ts'
import { bound, boundTotals, setSums, totalsOf } from './user-totals.ts'

type Known = {
  readonly id: string
  readonly number: number
  /** The totals that the database has. */
  readonly written: UserTotals
}

/** Seconds beyond a session's lifetime before the number of a removed user is reused. */
const FREED_SECONDS = 90_000

export type UsersOptions = {
  readonly engine: Engine
  /** Undefined if nothing is stored. */
  readonly database: Database | undefined
  /** Rows per batch. */
  readonly chunkSize: number
  /** Seconds for which a session is remembered after its last announce. */
  readonly sessionTtl: number
  readonly nowSeconds: () => number
  /** Receives each batch of users' credit after it is in the database. */
  readonly onCredited?: (batch: Batch) => void
  /** Undefined for a single node. */
  readonly shared?: SharedAccounts | undefined
  readonly log: Logger
}

/** The users: ids and keys here and in the database, totals in shared records. */
export class Users {
  readonly #options: UsersOptions
  readonly #byKey = new Map<string, Known>()
  readonly #keyOfId = new Map<string, string>()
  readonly #idOfNumber = new Map<number, string>()
  readonly #freed: { readonly number: number; readonly since: number }[] = []
  /** Numbers of removed users whose peers are still in swarms. */
  #leaving = new Set<number>()
  #nextNumber = 1
  readonly accounts: Accounts
  readonly factors: Factors
  readonly reports: UserReports

  constructor(options: UsersOptions) {
    this.#options = options
    this.accounts = new Accounts({
      ...options,
      idOf: number => this.idOf(number),
      numberOf: id => this.#ofId(id)?.number,
      onWritten: batch => {
        this.#noteWritten(batch)
        options.onCredited?.(batch)
      },
      takeUnwritten: () => this.#takeUnwritten(),
    })
    const lookups = {
      engine: options.engine,
      nowSeconds: options.nowSeconds,
      ledger: () => (this.#hasLedger ? this.accounts.ledger() : undefined),
      idOf: (key: string) => this.#byKey.get(key)?.id,
      keyOf: (id: string) => this.#keyOfId.get(id),
      numberOf: (id: string) => this.#ofId(id)?.number,
    }
    this.factors = new Factors(lookups)
    this.reports = new UserReports({
      ...lookups,
      factors: this.factors,
      numbers: () => this.#numbers(),
      flush: number => this.accounts.flush(new Set([number])),
    })
  }

  /** The id of the user with this number of a record; undefined if the user was removed. */
  idOf(number: number): string | undefined {
    return this.#idOfNumber.get(number)
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Sessions with unwritten counts. */
  get waiting(): number {
    return countSessions(this.#options.engine).changed
  }

  keysOf(ids: readonly string[]): (string | undefined)[] {
    return ids.map(id => this.#keyOfId.get(id))
  }

  async of(keys: readonly string[]): Promise<(User | undefined)[]> {
    const { engine } = this.#options
    const numbers = new Map<number, [string, number][]>()
    for (const key of keys) {
      const known = this.#byKey.get(key)
      if (known) numbers.set(known.number, [])
    }
    if (numbers.size > 0) await collectTorrents(engine, numbers)
    return keys.map(key => {
      const known = this.#byKey.get(key)
      if (!known) return undefined
      const torrentsActive = numbers.get(known.number) ?? []
      const flags = userFlags(engine.access.users, known.number)
      return {
        id: known.id,
        key,
        ...readUser(engine.access.users, known.number),
        grewTooFast: (flags & UserFlag.grewTooFast) !== 0,
        torrentsActive,
      }
    })
  }

  /** Sets totals. Earlier announces are written first. */
  async set(users: readonly UserEntry[]): Promise<Outcome[]> {
    const { database } = this.#options
    const entries = users.map(user => ({ ...user, ...boundTotals(user) }))
    const known = entries.flatMap(({ key, id }) => [this.#byKey.get(key), this.#ofId(id)])
    const numbers = new Set(known.flatMap(user => (user ? [user.number] : [])))
    if (database && numbers.size > 0) await storeFirst(this.accounts.flush(numbers))
    await storeFirst(database?.users.save(entries))
    const replaced = this.#replacedBy(entries)
    if (replaced.length > 0 && this.#hasLedger) {
      await storeFirst(database?.ledger.removeUsers(replaced))
    }
    return this.enter(entries)
  }

  /** Adds or changes users that the database has, such as those that another node has stored. */
  async enter(users: readonly UserEntry[]): Promise<Outcome[]> {
    this.factors.forgetUsers(this.#replacedBy(users))
    const outcomes = users.map(user => this.#enter(user))
    await this.#removePeers()
    return outcomes
  }

  /** Ids of users whose key another user gets. */
  #replacedBy(users: readonly UserEntry[]): string[] {
    return users.flatMap(({ key, id }) => {
      const other = this.#byKey.get(key)
      return other && other.id !== id ? [other.id] : []
    })
  }

  async remove(keys: readonly string[]): Promise<Outcome[]> {
    const { database } = this.#options
    const ids = keys.flatMap(key => this.#byKey.get(key)?.id ?? [])
    await storeFirst(database?.users.remove(keys))
    if (ids.length > 0 && this.#hasLedger) await storeFirst(database?.ledger.removeUsers(ids))
    return this.forget(keys)
  }

  /** Removes users that the database no longer has. */
  async forget(keys: readonly string[]): Promise<Outcome[]> {
    const ids = keys.flatMap(key => this.#byKey.get(key)?.id ?? [])
    this.accounts.forget(ids)
    this.factors.forgetUsers(ids)
    const outcomes = keys.map(key => this.#forget(key))
    await this.#removePeers()
    return outcomes
  }

  async clear(): Promise<void> {
    const { database, engine } = this.#options
    if (!engine.access.rules.users) throw new AdminError('not enabled', 'users not enabled')
    await storeFirst(database?.users.clear())
    if (this.#hasLedger) await storeFirst(database?.ledger.clear())
    await this.forgetAll()
  }

  async forgetAll(): Promise<void> {
    await this.forget([...this.#byKey.keys()])
    clearEntries(this.#options.engine.access.userKeys)
  }

  /**
   * Reads users and factors from the database again, where several nodes change them. Entries that
   * `isNewer` holds for, by user key or info hash, have changed meanwhile and stay.
   */
  async readAgain(isNewer: (name: string) => boolean): Promise<void> {
    const { database } = this.#options
    if (!database) return
    await this.accounts.betweenWrites(() => this.#readAgain(database, isNewer))
    await this.factors.readAgain(isNewer)
  }

  async #readAgain({ users }: Database, isNewer: (key: string) => boolean): Promise<void> {
    const { engine } = this.#options
    const found = new Set<string>()
    let changed = changedUsers(engine)
    for await (const rows of users.load()) {
      const changedSince = changedUsers(engine)
      for (const row of rows) {
        found.add(row.key)
        if (isNewer(row.key)) continue
        const known = this.#byKey.get(row.key)
        if (known?.id !== row.id) this.#enter(row)
        else {
          setActive(engine.access.users, known.number, row.active)
          // Totals with unwritten changes are compared after their write.
          if (changed.has(known.number) || changedSince.has(known.number)) continue
          setSums(engine, known.number, row, readUser(engine.access.users, known.number))
        }
      }
      changed = changedUsers(engine)
    }
    await this.forget([...this.#byKey.keys()].filter(key => !found.has(key) && !isNewer(key)))
  }

  async load(): Promise<number> {
    const { database } = this.#options
    if (!database) return 0
    for await (const chunk of database.users.load()) {
      for (const row of chunk) this.#enter(row)
    }
    if (this.#hasLedger) await this.loadLedger()
    // Other nodes write meanwhile: the totals must not be older than the sessions.
    if (this.#options.shared) await this.readAgain(() => false)
    return this.#byKey.size
  }

  /** Restores sessions and factors. */
  async loadLedger(): Promise<void> {
    await this.accounts.load()
    await this.factors.load()
  }

  *#numbers(): Generator<readonly [key: string, number: number]> {
    for (const [key, { number }] of this.#byKey) yield [key, number]
  }

  get #hasLedger(): boolean {
    return this.#options.engine.access.rules.users
  }

  #ofId(id: string): Known | undefined {
    const key = this.#keyOfId.get(id)
    return key === undefined ? undefined : this.#byKey.get(key)
  }

  #takeNumber(): number {
    const { engine, nowSeconds, sessionTtl } = this.#options
    const oldest = this.#freed[0]
    // A session of the former user must not credit the new one.
    if (oldest && nowSeconds() - oldest.since >= FREED_SECONDS + sessionTtl) {
      this.#freed.shift()
      clearUser(engine.access.users, oldest.number)
      return oldest.number
    }
    if (this.#nextNumber > userNumberMax(engine.access.users)) {
      throw new AdminError('database error', 'users are full')
    }
    return this.#nextNumber++
  }

  /** Adds or changes a user whose totals are in the database. */
  #enter(user: UserEntry): Outcome {
    const { access } = this.#options.engine
    const known = this.#byKey.get(user.key)
    const formerKey = this.#keyOfId.get(user.id)
    const former = formerKey === undefined ? undefined : this.#byKey.get(formerKey)
    // A user has one id and one key: another user with either of them is replaced.
    if (formerKey !== undefined && formerKey !== user.key) {
      removeEntry(access.userKeys, formerKey)
      this.#byKey.delete(formerKey)
    }
    if (known && known.id !== user.id) {
      this.#keyOfId.delete(known.id)
      this.#free(known)
    }
    const same = former ?? (known?.id === user.id ? known : undefined)
    const number = same?.number ?? this.#takeNumber()
    const written = totalsOf(user)
    writeUser(access.users, number, written, this.#knownTotals(same))
    setEntry(access.userKeys, user.key, number)
    writeUserKey(access.users, number, keyBytesOf(user.key))
    this.#byKey.set(user.key, { id: user.id, number, written })
    this.#keyOfId.set(user.id, user.key)
    this.#idOfNumber.set(number, user.id)
    if (!same) this.factors.apply(user.id, number)
    return known || former ? 'updated' : 'added'
  }

  /**
   * Returns the totals of the database. Without one, the growth by announces is replaced too; and
   * where other nodes write, because they may have written it.
   */
  #knownTotals(user: Known | undefined): UserTotals {
    if (!user) return NO_TOTALS
    if (this.#options.database && !this.#options.shared) return user.written
    return readUser(this.#options.engine.access.users, user.number)
  }

  #free({ number }: Known): void {
    clearUser(this.#options.engine.access.users, number)
    this.#idOfNumber.delete(number)
    this.#freed.push({ number, since: this.#options.nowSeconds() })
    this.#leaving.add(number)
  }

  /** Removes the peers of removed users from all swarms. */
  async #removePeers(): Promise<void> {
    const { engine } = this.#options
    const users = this.#leaving
    if (users.size === 0) return
    this.#leaving = new Set()
    for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
      dropPeersOfUsers(engine, stripe, users)
      if (stripe % STRIPES_PER_TURN === 0) await setImmediate()
    }
  }

  #forget(key: string): Outcome {
    const known = this.#byKey.get(key)
    if (!known) return 'unknown'
    removeEntry(this.#options.engine.access.userKeys, key)
    this.#byKey.delete(key)
    this.#keyOfId.delete(known.id)
    this.#free(known)
    return 'deleted'
  }

  #noteWritten({ users }: Batch): void {
    for (const { user, uploaded, downloaded, completed, updated } of users) {
      const written = this.#ofId(user)?.written
      if (!written) continue
      written.uploaded = bound(written.uploaded + uploaded)
      written.downloaded = bound(written.downloaded + downloaded)
      written.completed += completed
      written.updated = Math.max(written.updated, updated)
    }
  }

  #takeUnwritten(): UserChange[] {
    const { engine, nowSeconds } = this.#options
    const changes: UserChange[] = []
    for (const { id, number } of this.#byKey.values()) {
      const left = takeUnwritten(engine.access.users, number)
      if (!left) continue
      changes.push({
        user: id,
        uploaded: BigInt(left.uploaded),
        downloaded: BigInt(left.downloaded),
        completed: left.completed,
        updated: nowSeconds(),
        torrents: new Map(),
        sessions: new Map(),
      })
    }
    return changes
  }
}
