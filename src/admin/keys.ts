import type { KeyRow, Table } from '../database/database.ts'
import {
  type AccessTable,
  clearEntries,
  ENTRY_VALUE_MAX,
  eachEntry,
  entryCount,
  readEntry,
  removeEntry,
  setEntry,
} from '../engine/access-tables.ts'
import { AdminError, type Outcome, storeFirst } from './admin.ts'

/** Keys of the tracker, each with the second at which it expires. */
export type Keys = {
  /**
   * Remaining lifetime of each key in seconds, 0 for no end; undefined if the key is unknown or
   * expired.
   */
  of(hashes: readonly string[]): (number | undefined)[]
  set(entries: readonly (readonly [hash: string, timeoutSeconds: number])[]): Promise<Outcome[]>
  remove(hashes: readonly string[]): Promise<Outcome[]>
  clear(): Promise<void>
  load(): Promise<number>
  /** Deletes expired keys and returns how many there were. */
  removeEnded(): Promise<number>
  readonly size: number
}

/** The latest second at which a key can expire. A later one means never. */
const END_MAX = ENTRY_VALUE_MAX

export function createKeys(
  isEnabled: () => boolean,
  table: AccessTable,
  rows: Table<KeyRow> | undefined,
  nowSeconds: () => number,
): Keys {
  const endOf = (hash: string) => readEntry(table, hash)
  const isGood = (end: number | undefined): end is number =>
    end !== undefined && (end === 0 || end > nowSeconds())

  async function remove(hashes: readonly string[]): Promise<Outcome[]> {
    await storeFirst(rows?.remove(hashes))
    return hashes.map(hash => {
      const good = isGood(endOf(hash))
      return removeEntry(table, hash) && good ? 'deleted' : 'unknown'
    })
  }

  return {
    get size() {
      return entryCount(table)
    },
    of: hashes =>
      hashes.map(hash => {
        const end = endOf(hash)
        if (!isGood(end)) return undefined
        return end === 0 ? 0 : end - nowSeconds()
      }),
    async set(entries) {
      const now = nowSeconds()
      const ends = entries.map(([hash, timeout]) => ({
        hash,
        timeout: timeout === 0 || now + timeout > END_MAX ? 0 : now + timeout,
      }))
      await storeFirst(rows?.save(ends))
      return ends.map(({ hash, timeout }) => {
        const known = isGood(endOf(hash))
        if (!setEntry(table, hash, timeout)) {
          throw new AdminError('database error', 'keys are full')
        }
        return known ? 'updated' : 'added'
      })
    },
    remove,
    async clear() {
      if (!isEnabled()) throw new AdminError('not enabled', 'keys not enabled')
      await storeFirst(rows?.clear())
      clearEntries(table)
    },
    async load() {
      if (!rows) return 0
      for await (const chunk of rows.load()) {
        for (const { hash, timeout } of chunk) {
          const end = timeout > END_MAX ? 0 : timeout
          if (isGood(end)) setEntry(table, hash, end)
        }
      }
      return entryCount(table)
    },
    async removeEnded() {
      const ended: string[] = []
      eachEntry(table, (hash, end) => {
        if (!isGood(end)) ended.push(hash)
      })
      if (ended.length > 0) await remove(ended)
      return ended.length
    },
  }
}
