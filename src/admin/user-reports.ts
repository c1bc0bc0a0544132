import { setImmediate } from 'node:timers/promises'
import type { Ledger } from '../database/ledger.ts'
import type { LedgerRow, RowFilter } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import { clearSessionFlags, SESSION_PARTITIONS } from '../engine/session-batch.ts'
import { clearUserFlags, downloadingOf, UserFlag, userFlags } from '../engine/user-records.ts'
import {
  AdminError,
  type HitAndRun,
  storeFirst,
  type Transfer,
  type TransferPage,
  type UserAccount,
} from './admin.ts'
import type { Factors } from './factors.ts'

export type UserReportsOptions = {
  readonly engine: Engine
  /** Undefined where nothing is stored. */
  readonly ledger: () => Promise<Ledger> | undefined
  readonly nowSeconds: () => number
  readonly factors: Factors
  readonly idOf: (key: string) => string | undefined
  readonly keyOf: (id: string) => string | undefined
  readonly numberOf: (id: string) => number | undefined
  readonly numbers: () => Iterable<readonly [key: string, number: number]>
  /** Writes what announces have added to this user's rows. */
  readonly flush: (number: number) => Promise<unknown>
}

/** Reports on users: their torrents, a torrent's users, flags. */
export class UserReports {
  readonly #options: UserReportsOptions

  constructor(options: UserReportsOptions) {
    this.#options = options
  }

  /** Flags and factors; undefined for an unknown user. */
  account(key: string): UserAccount | undefined {
    const { engine, factors } = this.#options
    const id = this.#options.idOf(key)
    const number = id === undefined ? undefined : this.#options.numberOf(id)
    if (id === undefined || number === undefined) return undefined
    const { users } = engine.access
    return {
      grewTooFast: (userFlags(users, number) & UserFlag.grewTooFast) !== 0,
      downloading: downloadingOf(users, number),
      factors: factors.ofUser(id),
    }
  }

  /** The keys of flagged users, at most `count`. */
  async flagged(count: number): Promise<string[]> {
    const { users } = this.#options.engine.access
    const found: string[] = []
    let seen = 0
    for (const [key, number] of this.#options.numbers()) {
      if (userFlags(users, number) !== 0) found.push(key)
      if (found.length >= count) break
      if (++seen % 10_000 === 0) await setImmediate()
    }
    return found
  }

  /** Clears the flags of a user. Returns false for an unknown user. */
  async clearFlags(key: string): Promise<boolean> {
    const { engine, idOf, numberOf } = this.#options
    const id = idOf(key)
    const number = id === undefined ? undefined : numberOf(id)
    if (number === undefined) return false
    for (let partition = 0; partition < SESSION_PARTITIONS; partition++) {
      clearSessionFlags(engine, partition, number)
      if (partition % 16 === 15) await setImmediate()
    }
    clearUserFlags(engine.access.users, number)
    return true
  }

  /** The torrents of a user, or undefined for an unknown user. */
  async torrentsOf(
    key: string,
    cursor: string,
    count: number,
    hitAndRun?: HitAndRun,
  ): Promise<TransferPage | undefined> {
    const id = this.#options.idOf(key)
    const number = id === undefined ? undefined : this.#options.numberOf(id)
    if (id === undefined || number === undefined) return undefined
    const ledger = await this.#ledger()
    await storeFirst(this.#options.flush(number))
    const rows = await read(ledger.torrentsOf(id, cursor, count, this.#filter(hitAndRun)))
    return this.#page(rows, count, ({ hash }) => hash)
  }

  /** The users of a torrent, in the order of their ids. */
  async usersOf(
    hash: string,
    cursor: string,
    count: number,
    { isCompleted = false, hitAndRun }: { isCompleted?: boolean; hitAndRun?: HitAndRun },
  ): Promise<TransferPage> {
    const ledger = await this.#ledger()
    const filter = { ...this.#filter(hitAndRun), ...(isCompleted && { isCompleted }) }
    const rows = await read(ledger.usersOf(hash, cursor, count, filter))
    return this.#page(rows, count, ({ user }) => user)
  }

  async #ledger(): Promise<Ledger> {
    const ledger = this.#options.ledger()
    await storeFirst(ledger)
    const ready = await ledger
    if (!ready || !this.#options.engine.access.rules.users) {
      throw new AdminError('not enabled', 'users not enabled')
    }
    return ready
  }

  #page(rows: LedgerRow[], count: number, cursorOf: (row: LedgerRow) => string): TransferPage {
    const transfers = rows.flatMap(row => this.#transferOf(row) ?? [])
    const last = rows.at(-1)
    return rows.length === count && last ? { transfers, next: cursorOf(last) } : { transfers }
  }

  #transferOf({ user, ...row }: LedgerRow): Transfer | undefined {
    const key = this.#options.keyOf(user)
    if (key === undefined) return undefined
    return { ...row, id: user, key, isActive: row.last >= this.#activeSince() }
  }

  /** A user without an announce since then has left a torrent. */
  #activeSince(): number {
    return this.#options.nowSeconds() - this.#options.engine.settings.peersTimeout
  }

  #filter(hitAndRun: HitAndRun | undefined): RowFilter {
    if (!hitAndRun) return {}
    const { seedingBelow } = hitAndRun
    return { isCompleted: true, seedingBelow, lastBefore: this.#activeSince() }
  }
}

async function read<Rows>(rows: Promise<Rows>): Promise<Rows> {
  try {
    return await rows
  } catch (error) {
    throw new AdminError('database error', 'database error', { cause: error })
  }
}
