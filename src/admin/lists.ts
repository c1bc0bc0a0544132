import type { ListRow, Table } from '../database/database.ts'
import {
  ABSENT,
  clearTable,
  findValue,
  type HashTable,
  keyCount,
  removeValue,
  setValue,
} from '../engine/tables/hash-table.ts'
import { AdminError, type Outcome, storeFirst } from './admin.ts'

/** A whitelist or blacklist: in the database, and in the shared table that announces are checked against. */
export type List = {
  has(hashes: readonly string[]): boolean[]
  add(hashes: readonly string[]): Promise<Outcome[]>
  remove(hashes: readonly string[]): Promise<Outcome[]>
  clear(): Promise<void>
  /** Enters what the database holds. Returns how many that are. */
  load(): Promise<number>
  readonly size: number
}

/** `isEnabled` says whether announces are checked against it. */
export function createList(
  name: string,
  isEnabled: () => boolean,
  table: HashTable,
  rows: Table<ListRow> | undefined,
): List {
  const isListed = (hash: string) => findValue(table, viewOfHash(hash), 0) !== ABSENT
  return {
    get size() {
      return keyCount(table)
    },
    has: hashes => hashes.map(isListed),
    async add(hashes) {
      await storeFirst(rows?.save(hashes.map(hash => ({ hash }))))
      return hashes.map(hash => {
        const known = isListed(hash)
        if (!setValue(table, viewOfHash(hash), 0, 0)) {
          throw new AdminError('database error', `${name} is full`)
        }
        return known ? 'updated' : 'added'
      })
    },
    async remove(hashes) {
      await storeFirst(rows?.remove(hashes))
      return hashes.map(hash => (removeValue(table, viewOfHash(hash), 0) ? 'deleted' : 'unknown'))
    },
    async clear() {
      if (!isEnabled()) throw new AdminError('not enabled', `${name} not enabled`)
      await storeFirst(rows?.clear())
      clearTable(table)
    },
    async load() {
      if (!rows) return 0
      for await (const chunk of rows.load()) {
        for (const { hash } of chunk) setValue(table, viewOfHash(hash), 0, 0)
      }
      return keyCount(table)
    },
  }
}

/** Memory of `viewOfHash`, overwritten by each call. */
const bytes = Buffer.alloc(20)
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** The 20 bytes of 40 hex digits, valid until the next call. */
export function viewOfHash(hash: string): DataView {
  bytes.write(hash, 'hex')
  return view
}
