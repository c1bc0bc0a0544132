import type { ListRow } from '../database/rows.ts'
import type { Table } from '../database/table.ts'
import {
  type AccessTable,
  clearEntries,
  entryCount,
  readEntry,
  removeEntry,
  setEntry,
} from '../engine/access-tables.ts'
import { AdminError, type Outcome, storeFirst } from './admin.ts'

/**
 * A whitelist or blacklist, in the database and in the shared table that announces are checked
 * against.
 */
export type List = {
  has(hashes: readonly string[]): boolean[]
  add(hashes: readonly string[]): Promise<Outcome[]>
  remove(hashes: readonly string[]): Promise<Outcome[]>
  clear(): Promise<void>
  /** Loads the entries of the database. Returns their number. */
  load(): Promise<number>
  readonly size: number
}

/**
 * The change of a list that refuses a torrent from then on, and removes its peers from the swarm.
 */
export type Refusal = {
  readonly by: 'added' | 'deleted'
  readonly dropPeers: (hash: string) => void
}

/** `isEnabled` is whether announces are checked against the list. */
export function createList(
  name: string,
  isEnabled: () => boolean,
  table: AccessTable,
  rows: Table<ListRow> | undefined,
  refusal?: Refusal,
): List {
  const isListed = (hash: string) => readEntry(table, hash) !== undefined
  return {
    get size() {
      return entryCount(table)
    },
    has: hashes => hashes.map(isListed),
    async add(hashes) {
      await storeFirst(rows?.save(hashes.map(hash => ({ hash }))))
      return hashes.map(hash => {
        const known = isListed(hash)
        if (!setEntry(table, hash, 0)) {
          throw new AdminError('database error', `${name} is full`)
        }
        if (refusal?.by === 'added' && isEnabled()) refusal.dropPeers(hash)
        return known ? 'updated' : 'added'
      })
    },
    async remove(hashes) {
      await storeFirst(rows?.remove(hashes))
      return hashes.map(hash => {
        const known = removeEntry(table, hash)
        if (refusal?.by === 'deleted' && isEnabled()) refusal.dropPeers(hash)
        return known ? 'deleted' : 'unknown'
      })
    },
    async clear() {
      if (!isEnabled()) throw new AdminError('not enabled', `${name} not enabled`)
      await storeFirst(rows?.clear())
      clearEntries(table)
    },
    async load() {
      if (!rows) return 0
      for await (const chunk of rows.load()) {
        for (const { hash } of chunk) setEntry(table, hash, 0)
      }
      return entryCount(table)
    },
  }
}
