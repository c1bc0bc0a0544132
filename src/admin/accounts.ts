import { setImmediate } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import type { Ledger } from '../database/ledger.ts'
import type { Batch, UserChange } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import {
  type ChangedSession,
  countSessions,
  expireSessionsOf,
  orderSessions,
  restoreSession,
  SESSION_PARTITIONS,
  takeSessions,
} from '../engine/session-batch.ts'
import { SessionState } from '../engine/session-layout.ts'
import { addUserFlags, UserFlag } from '../engine/user-records.ts'
import type { Logger } from '../log.ts'
import { changeOf, mergeChange } from './user-changes.ts'
import { WritePass } from './write-pass.ts'

/** Seconds between attempts to write the counters of a user that the database rejects. */
const SET_ASIDE_SECONDS = 600
/** Seconds between deletions of sessions that are older than their time to live. */
const EXPIRE_SECONDS = 3600
/**
 * Seconds for which the database stores a session longer than any node does, where several nodes
 * write: a node that still has the session would add its totals again.
 */
const OUTLIVE_SECONDS = 3 * EXPIRE_SECONDS

/** Where several nodes credit users. */
export type SharedAccounts = {
  /** Seconds that a node has to write the changes of its clients before another node does. */
  readonly waitSeconds: () => number
}

export type AccountsOptions = {
  readonly engine: Engine
  readonly database: Pick<Database, 'ledger' | 'isRowFault'> | undefined
  /** Rows per batch. */
  readonly chunkSize: number
  /** Seconds for which a session is remembered after its last announce. */
  readonly sessionTtl: number
  readonly nowSeconds: () => number
  /** The id of the user with this number; undefined if the user was removed. */
  readonly idOf: (number: number) => string | undefined
  /** The number of the user with this id. */
  readonly numberOf: (id: string) => number | undefined
  /** Called when a batch is written and the database has its changes. */
  readonly onWritten: (batch: Batch) => void
  /** Returns the unwritten changes of evicted sessions of all users. */
  readonly takeUnwritten: () => UserChange[]
  /** Undefined for a single node. */
  readonly shared?: SharedAccounts | undefined
  readonly log: Logger
}

/** Writes the changes that announces make to users, torrents and sessions to the ledger. */
export class Accounts {
  readonly #options: AccountsOptions
  /** Batches that are not written, or whose result is unknown. */
  #pending: Batch[] = []
  /** Changes that the database rejects, by user id. */
  readonly #setAside = new Map<string, UserChange>()
  #prepared: Promise<void> | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #retrySeconds = 0
  #expireSeconds = 0
  #lastBatch = 0
  #isEnding = false
  #pass: WritePass | undefined

  constructor(options: AccountsOptions) {
    this.#options = options
  }

  /** Numbers for metrics. */
  collect() {
    return { ...countSessions(this.#options.engine), setAside: this.#setAside.size }
  }

  /** Users whose counters the database rejects. */
  get setAside(): number {
    return this.#setAside.size
  }

  /** Restores the stored sessions. Returns how many. */
  async load(): Promise<number> {
    const { database, engine, nowSeconds, numberOf, sessionTtl } = this.#options
    if (!database) return 0
    await this.#prepare(database)
    const { sessionsMax } = countSessions(engine)
    let loaded = 0
    for await (const rows of database.ledger.loadSessions(nowSeconds() - sessionTtl, sessionsMax)) {
      for (const row of rows) {
        const number = numberOf(row.user)
        if (number === undefined || !restoreSession(engine, number, row)) continue
        loaded++
        if ((row.state & SessionState.grewTooFast) !== 0) {
          addUserFlags(engine.access.users, number, UserFlag.grewTooFast)
        }
      }
    }
    orderSessions(engine)
    return loaded
  }

  /**
   * Writes the changes of all users, or of the users in `only`, by their numbers. Rejects if the
   * database cannot be written to; the next call writes the same changes.
   */
  flush(only?: ReadonlySet<number>): Promise<number> {
    return this.betweenWrites(() => this.#flush(only))
  }

  /** Does the same, but rejects if anything remains unwritten. */
  async flushAll(): Promise<number> {
    this.#retrySeconds = 0
    const rows = await this.flush()
    if (this.#setAside.size > 0) {
      throw new Error(`the database rejects the counters of ${this.#setAside.size} users`)
    }
    return rows
  }

  /** Later writes include changes that other nodes did not write yet. */
  end(): void {
    this.#isEnding = true
  }

  /** Runs `work` while nothing is written. */
  betweenWrites<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#writing.then(work)
    this.#writing = done.catch(() => undefined)
    return done
  }

  /** Drops the unwritten changes of these users, who are being removed. */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.#setAside.delete(id)
  }

  /** The ledger, once its tables exist; undefined without a database. */
  ledger(): Promise<Ledger> | undefined {
    const { database } = this.#options
    return database && this.#prepare(database).then(() => database.ledger)
  }

  #prepare({ ledger }: Pick<Database, 'ledger'>): Promise<void> {
    this.#prepared ??= ledger.prepare().catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #flush(only: ReadonlySet<number> | undefined): Promise<number> {
    const { chunkSize, database, engine, takeUnwritten } = this.#options
    if (!database) return 0
    this.#pass = this.#newPass(only !== undefined)
    let rows = await this.#writePending(database)
    let changes = new Map<string, UserChange>()
    let size = 0
    const write = async () => {
      if (changes.size === 0) return
      this.#pending.push(this.#batchOf([...changes.values()]))
      changes = new Map()
      size = 0
      rows += await this.#writePending(database)
    }
    for (const change of takeUnwritten()) this.#merge(changes, change)
    for (let partition = 0; partition < SESSION_PARTITIONS; partition++) {
      for (const session of takeSessions(engine, partition, only, this.#pass?.mustWait)) {
        this.#pass?.taken(session.user)
        this.#add(changes, session)
        if (++size >= chunkSize) await write()
      }
      if (partition % 16 === 15) await setImmediate()
    }
    this.#takeSetAside(changes)
    await write()
    this.#pass?.end()
    if (!only) await this.#expire(database)
    return rows
  }

  #newPass(isOfSome: boolean): WritePass | undefined {
    const { engine, nowSeconds, shared } = this.#options
    if (!shared) return undefined
    const isWhole = isOfSome || this.#isEnding
    const limit = isWhole ? Number.POSITIVE_INFINITY : nowSeconds() - shared.waitSeconds()
    return new WritePass(engine, limit)
  }

  #batchOf(users: readonly UserChange[]): Batch {
    this.#lastBatch = Math.max(this.#lastBatch + 1, Date.now() * 1000)
    return { id: this.#lastBatch, attempted: false, users }
  }

  /**
   * Writes the batches in order. One with a rejected row is split until the row's user is known.
   */
  async #writePending(database: Pick<Database, 'ledger' | 'isRowFault'>): Promise<number> {
    let rows = 0
    for (let batch = this.#pending[0]; batch; batch = this.#pending[0]) {
      try {
        await this.#prepare(database)
        rows += await database.ledger.write(batch)
        this.#options.onWritten(batch)
        for (const { stored, user } of batch.users) {
          this.#accepted(user)
          const number = stored && this.#options.numberOf(user)
          if (stored && number !== undefined) this.#pass?.written(number, stored)
        }
        this.#pending.shift()
      } catch (error) {
        if (!database.isRowFault(error)) throw error
        this.#pending.shift()
        const [first] = batch.users
        if (batch.users.length === 1 && first) this.#reject(first, error)
        else {
          const half = batch.users.length >> 1
          this.#pending.unshift(
            this.#batchOf(batch.users.slice(0, half)),
            this.#batchOf(batch.users.slice(half)),
          )
        }
      }
    }
    return rows
  }

  #accepted(user: string): void {
    if (this.#rejected.delete(user)) {
      this.#options.log.info({ user }, 'the rejected counters of a user are written')
    }
  }

  /** Users whose rejection the log has already reported. */
  readonly #rejected = new Set<string>()

  #reject(change: UserChange, error: unknown): void {
    const { user } = change
    if (!this.#rejected.has(user)) {
      this.#rejected.add(user)
      this.#options.log.error(
        { user, err: error },
        'the database rejects the counters of a user; will keep retrying',
      )
    }
    this.#setAside.set(user, change)
    this.#retrySeconds = this.#options.nowSeconds() + SET_ASIDE_SECONDS
  }

  /**
   * Adds the changes that are set aside to `changes` when it is time to retry, otherwise moves
   * those of these users from `changes` to the ones set aside.
   */
  #takeSetAside(changes: Map<string, UserChange>): void {
    const isTime = this.#options.nowSeconds() >= this.#retrySeconds
    for (const [user, change] of this.#setAside) {
      const next = changes.get(user)
      if (next) mergeChange(change, next)
      if (isTime) {
        changes.set(user, change)
        this.#setAside.delete(user)
      } else changes.delete(user)
    }
  }

  async #expire({ ledger }: Pick<Database, 'ledger'>): Promise<void> {
    const { engine, nowSeconds, sessionTtl, shared } = this.#options
    const now = nowSeconds()
    if (now < this.#expireSeconds || !this.#prepared) return
    this.#expireSeconds = now + EXPIRE_SECONDS
    for (let partition = 0; partition < SESSION_PARTITIONS; partition++) {
      expireSessionsOf(engine, partition, now - sessionTtl)
    }
    await ledger.expire(now - sessionTtl - (shared ? OUTLIVE_SECONDS : 0))
  }

  #add(changes: Map<string, UserChange>, session: ChangedSession): void {
    const user = this.#options.idOf(session.user)
    if (user === undefined) return
    this.#merge(changes, changeOf(user, session))
  }

  #merge(changes: Map<string, UserChange>, change: UserChange): void {
    const known = changes.get(change.user)
    if (known) mergeChange(known, change)
    else changes.set(change.user, change)
  }
}
