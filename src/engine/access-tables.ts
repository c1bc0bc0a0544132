import {
  ABSENT,
  clearTable,
  eachKey,
  findValue,
  type HashTable,
  keyCount,
  removeValue,
  setValue,
} from './tables/hash-table.ts'

/**
 * The door for the admin module to the shared access tables: whitelist, blacklist, keys and user
 * keys. An entry's key is 40 hexadecimal digits, its value an integer from 0 to ENTRY_VALUE_MAX.
 * One thread changes the tables while all threads read them.
 */
export type AccessTable = HashTable

export const ENTRY_VALUE_MAX = 2 ** 32 - 2

const keyBytes = Buffer.alloc(20)
const keyView = new DataView(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length)

/** The 20 bytes of 40 hexadecimal digits; the next call overwrites them. */
function viewOf(key: string): DataView {
  keyBytes.write(key, 'hex')
  return keyView
}

/** Value of an entry; undefined when there is none. */
export function readEntry(table: AccessTable, key: string): number | undefined {
  const value = findValue(table, viewOf(key), 0)
  return value === ABSENT ? undefined : value
}

/** Adds an entry or changes its value. Returns false if the table is full. */
export function setEntry(table: AccessTable, key: string, value: number): boolean {
  return setValue(table, viewOf(key), 0, value)
}

/** Removes an entry. Returns whether it existed. */
export function removeEntry(table: AccessTable, key: string): boolean {
  return removeValue(table, viewOf(key), 0)
}

export function clearEntries(table: AccessTable): void {
  clearTable(table)
}

export function entryCount(table: AccessTable): number {
  return keyCount(table)
}

/** Calls `visit` for each entry. It must not change the table. */
export function eachEntry(table: AccessTable, visit: (key: string, value: number) => void): void {
  eachKey(table, (bytes, at, value) => {
    visit(Buffer.from(bytes.slice(at, at + keyBytes.length)).toString('hex'), value)
  })
}
