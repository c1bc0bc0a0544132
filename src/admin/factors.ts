import type { Ledger } from '../database/ledger.ts'
import { removeEntry, setEntry } from '../engine/access-tables.ts'
import type { Engine } from '../engine/engine.ts'
import { packFactors, setEverybody } from '../engine/factors.ts'
import { ONE, writeFactors } from '../engine/user-records.ts'
import { AdminError, type FactorEntry, type FactorPage, type Outcome, storeFirst } from './admin.ts'

const NO_FACTORS = { upload: ONE, download: ONE, until: 0 }
/** Entries of all scopes together. */
const ENTRIES_MAX = 500_000
/** Seconds between deletions of factors that have ended. */
const CLEAN_SECONDS = 600

export type FactorsOptions = {
  readonly engine: Engine
  /** Undefined where nothing is stored. */
  readonly ledger: () => Promise<Ledger> | undefined
  readonly nowSeconds: () => number
  /** The id of the user with this key, and the key and the number of the user with this id. */
  readonly idOf: (key: string) => string | undefined
  readonly keyOf: (id: string) => string | undefined
  readonly numberOf: (id: string) => number | undefined
}

/** The factor of a user id, of an info hash, or of everybody: then both are empty. */
type Row = {
  readonly user: string
  readonly hash: string
  readonly upload: number
  readonly download: number
  readonly until: number
}

/** The factors of credited bytes: in the database, and in the tables that announces read. */
export class Factors {
  readonly #options: FactorsOptions
  /** By user id and info hash. */
  readonly #rows = new Map<string, Row>()
  #cleanSeconds = 0

  constructor(options: FactorsOptions) {
    this.#options = options
  }

  /** Restores what the database holds. */
  async load(): Promise<void> {
    const ledger = await this.#options.ledger()
    if (!ledger) return
    for (const row of await ledger.loadFactors()) this.#enter(row)
  }

  /**
   * Makes the factors equal to those of the database. The ones that `isNewer` holds for, by user
   * key or info hash, stay.
   */
  async readAgain(isNewer: (id: string) => boolean): Promise<void> {
    const ledger = await this.#options.ledger()
    if (!ledger) return
    const { keyOf } = this.#options
    const hasChanged = ({ hash, user }: Row) => isNewer(user === '' ? hash : (keyOf(user) ?? ''))
    const rows = new Map((await ledger.loadFactors()).map(row => [nameOf(row), row]))
    for (const row of rows.values()) if (!hasChanged(row)) this.#enter(row)
    const known = [...this.#rows.values()]
    this.#forgetRows(known.filter(row => !rows.has(nameOf(row)) && !hasChanged(row)))
  }

  /** A page in the order of scope and id. */
  list(cursor: string, count: number): FactorPage {
    const names = [...this.#rows.keys()].sort().filter(name => name > cursor)
    const entries = names.slice(0, count).flatMap(name => this.#entryOf(name) ?? [])
    const last = names[count - 1]
    return names.length > count && last !== undefined ? { entries, next: last } : { entries }
  }

  /** The factors of a user, if they are set. */
  ofUser(id: string): FactorEntry | undefined {
    return this.#entryOf(nameOf({ user: id, hash: '' }))
  }

  /** Sets factors; `unknown` for a user that does not exist. */
  async set(entries: readonly FactorEntry[]): Promise<Outcome[]> {
    const rows = entries.map(entry => this.#rowOf(entry))
    const known = rows.filter(row => row !== undefined)
    if (this.#rows.size + known.length > ENTRIES_MAX) {
      throw new AdminError('database error', 'factors are full')
    }
    const ledger = await storeReady(this.#options.ledger())
    if (ledger) await storeFirst(ledger.saveFactors(known))
    return this.enter(entries)
  }

  /** Sets factors that the database has. */
  enter(entries: readonly FactorEntry[]): Outcome[] {
    return entries.map(entry => {
      const row = this.#rowOf(entry)
      if (!row) return 'unknown'
      const outcome = this.#rows.has(nameOf(row)) ? 'updated' : 'added'
      this.#enter(row)
      return outcome
    })
  }

  /** Removes factors that the database no longer has. */
  forgetEntries(entries: readonly Pick<FactorEntry, 'scope' | 'id'>[]): void {
    const rows = entries.map(entry => this.#rowOf({ ...entry, ...NO_FACTORS }))
    this.#forgetRows(rows.filter(row => row !== undefined))
  }

  async remove(entries: readonly Pick<FactorEntry, 'scope' | 'id'>[]): Promise<Outcome[]> {
    const rows = entries.map(entry => this.#rowOf({ ...entry, ...NO_FACTORS }))
    const known = rows.filter(row => row !== undefined && this.#rows.has(nameOf(row))) as Row[]
    await this.#delete(known)
    return rows.map(row => (row && known.includes(row) ? 'deleted' : 'unknown'))
  }

  /** Deletes the factors that have ended. Returns their number. */
  async removeEnded(): Promise<number> {
    const now = this.#options.nowSeconds()
    if (now < this.#cleanSeconds) return 0
    this.#cleanSeconds = now + CLEAN_SECONDS
    const ended = [...this.#rows.values()].filter(({ until }) => until !== 0 && until <= now)
    // A factor that another node has extended stays in the database.
    if (ended.length > 0) await this.#delete(ended, true)
    return ended.length
  }

  /** Applies the factors of a user whose record was allocated or filled. */
  apply(id: string, number: number): void {
    const row = this.#rows.get(nameOf({ user: id, hash: '' }))
    writeFactors(this.#options.engine.access.users, number, row ?? NO_FACTORS)
  }

  /** Forgets the factors of users that were removed; the database has deleted them. */
  forgetUsers(ids: readonly string[]): void {
    for (const user of ids) this.#rows.delete(nameOf({ user, hash: '' }))
  }

  async #delete(rows: readonly Row[], isEnded = false): Promise<void> {
    const ledger = await storeReady(this.#options.ledger())
    const removed = rows.map(({ hash, until, user }) => ({ hash, user, ...(isEnded && { until }) }))
    if (ledger) await storeFirst(ledger.removeFactors(removed))
    this.#forgetRows(rows)
  }

  #forgetRows(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#put({ ...row, ...NO_FACTORS })
      this.#rows.delete(nameOf(row))
    }
  }

  #enter(row: Row): void {
    this.#rows.set(nameOf(row), row)
    this.#put(row)
  }

  /** Writes the factors into the tables that announces read. */
  #put({ user, hash, ...factors }: Row): void {
    const { engine, numberOf } = this.#options
    const { users, factors: tables } = engine.access
    if (user !== '') {
      const number = numberOf(user)
      if (number !== undefined) writeFactors(users, number, factors)
    } else if (hash === '') {
      setEverybody(tables, factors)
    } else {
      // No announce sees a new factor with an old end.
      removeEntry(tables.torrents, hash)
      if (factors.upload === ONE && factors.download === ONE) removeEntry(tables.ends, hash)
      else {
        setEntry(tables.ends, hash, factors.until)
        setEntry(tables.torrents, hash, packFactors(factors))
      }
    }
  }

  #rowOf({ scope, id, ...factors }: FactorEntry): Row | undefined {
    if (scope === 'everybody') return { user: '', hash: '', ...factors }
    if (scope === 'torrent') return { user: '', hash: id, ...factors }
    const user = this.#options.idOf(id)
    return user === undefined ? undefined : { user, hash: '', ...factors }
  }

  #entryOf(name: string): FactorEntry | undefined {
    const row = this.#rows.get(name)
    if (!row) return undefined
    const { user, hash, ...factors } = row
    if (user === '') return { scope: hash === '' ? 'everybody' : 'torrent', id: hash, ...factors }
    const key = this.#options.keyOf(user)
    return key === undefined ? undefined : { scope: 'user', id: key, ...factors }
  }
}

function nameOf({ user, hash }: Pick<Row, 'user' | 'hash'>): string {
  return `${user} ${hash}`
}

async function storeReady(ledger: Promise<Ledger> | undefined): Promise<Ledger | undefined> {
  await storeFirst(ledger)
  return ledger
}
