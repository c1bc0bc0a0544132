import type { KeyRow } from '../database/rows.ts'
import type { KeyTable } from '../database/table.ts'
import {
  type AccessTable,
  clearEntries,
  ENTRY_VALUE_MAX,
  eachEntry,
  entryCount,
  entryKey,
  readEntry,
  removeEntry,
  setEntry,
} from '../engine/access-tables.ts'
import { AdminError, type KeyLifetime, type Outcome, storeFirst } from './admin.ts'

export type KeysOptions = {
  readonly isEnabled: () => boolean
  readonly table: AccessTable
  /** Undefined where nothing is stored. */
  readonly rows: KeyTable<KeyRow> | undefined
  /** Whether the row of a key that is removed is deleted too. That of an expired key always is. */
  readonly deletesRows: boolean
  /** Unix time by the system clock: keys expire by it, whatever it is set to. */
  readonly realSeconds: () => number
  /** Unix time by a clock that runs evenly. */
  readonly nowSeconds: () => number
}

/** The latest second at which a key can expire. A later one means never. */
const END_MAX = ENTRY_VALUE_MAX

/** Keys of the tracker, each with the Unix second at which it expires, 0 for never. */
export class Keys {
  readonly #options: KeysOptions

  constructor(options: KeysOptions) {
    this.#options = options
  }

  get size(): number {
    return entryCount(this.#options.table)
  }

  /** Undefined for a key that is unknown or expired. */
  of(hashes: readonly string[]): (KeyLifetime | undefined)[] {
    const now = this.#options.realSeconds()
    return hashes.map(hash => {
      const end = readEntry(this.#options.table, hash)
      if (!isValid(end, now)) return undefined
      return { end, left: end === 0 ? 0 : end - now }
    })
  }

  async set(
    entries: readonly (readonly [hash: string, timeoutSeconds: number])[],
  ): Promise<Outcome[]> {
    const { realSeconds, rows, table } = this.#options
    const now = realSeconds()
    const ends = entries.map(([hash, timeout]) => ({
      hash,
      timeout: timeout === 0 || now + timeout > END_MAX ? 0 : now + timeout,
    }))
    await storeFirst(rows?.save(ends))
    return ends.map(({ hash, timeout }) => {
      const known = isValid(readEntry(table, hash), now)
      if (!setEntry(table, hash, timeout)) throw new AdminError('database error', 'keys are full')
      return known ? 'updated' : 'added'
    })
  }

  async remove(hashes: readonly string[]): Promise<Outcome[]> {
    const { deletesRows, realSeconds, rows, table } = this.#options
    if (deletesRows) await storeFirst(rows?.remove(hashes))
    return hashes.map(hash => {
      const valid = isValid(readEntry(table, hash), realSeconds())
      return removeEntry(table, hash) && valid ? 'deleted' : 'unknown'
    })
  }

  async clear(): Promise<void> {
    const { isEnabled, rows, table } = this.#options
    if (!isEnabled()) throw new AdminError('not enabled', 'keys not enabled')
    await storeFirst(rows?.clear())
    clearEntries(table)
  }

  /** Loads the keys of the database, including expired ones, which `removeExpired` deletes. */
  async load(): Promise<number> {
    const { rows, table } = this.#options
    if (!rows) return 0
    for await (const chunk of rows.load()) {
      for (const { hash, timeout } of chunk) setEntry(table, hash, timeout > END_MAX ? 0 : timeout)
    }
    return entryCount(table)
  }

  /**
   * Deletes the keys that have expired by both clocks, and returns their number. After a jump of
   * the system clock, keys are refused but not deleted, and valid again once the clock is correct.
   */
  async removeExpired(): Promise<number> {
    const { nowSeconds, realSeconds, rows, table } = this.#options
    const now = Math.min(nowSeconds(), realSeconds())
    const expired: string[] = []
    eachEntry(table, (hex, end) => {
      if (!isValid(end, now)) expired.push(entryKey(table, hex))
    })
    if (expired.length === 0) return 0
    await storeFirst(rows?.removeExpired(expired, now))
    const again: KeyRow[] = []
    for (const hash of expired) {
      const timeout = readEntry(table, hash)
      // A key that was set again meanwhile stays.
      if (isValid(timeout, now)) again.push({ hash, timeout })
      else removeEntry(table, hash)
    }
    if (again.length > 0) await storeFirst(rows?.save(again))
    return expired.length - again.length
  }

  /** Writes the remaining lifetime of each key, from which Torrust-Actix continues. */
  async storeLifetimes(): Promise<void> {
    const { realSeconds, rows, table } = this.#options
    const now = realSeconds()
    let chunk: KeyRow[] = []
    const chunks: KeyRow[][] = [chunk]
    eachEntry(table, (hex, end) => {
      if (end <= now) return
      if (chunk.length === LIFETIMES_AT_ONCE) {
        chunk = []
        chunks.push(chunk)
      }
      chunk.push({ hash: entryKey(table, hex), timeout: end })
    })
    const until = performance.now() + LIFETIMES_MILLIS_MAX
    for (const part of chunks) {
      if (performance.now() > until) return
      if (part.length > 0) await rows?.refresh(part)
    }
  }
}

/** Rows of one write, and the maximum time of `storeLifetimes`, because a stop must end in time. */
const LIFETIMES_AT_ONCE = 1000
const LIFETIMES_MILLIS_MAX = 5000

function isValid(end: number | undefined, now: number): end is number {
  return end !== undefined && (end === 0 || end > now)
}
