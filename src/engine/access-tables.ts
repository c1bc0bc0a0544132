import { isHexKey, writeKeyBytes } from '../protocol/key.ts'
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

/**
 * The names of entries that cannot be derived from their 20 bytes, by those bytes in hexadecimal
 * digits. They are known to the thread that changes the tables.
 */
const names = new WeakMap<AccessTable, Map<string, string>>()

/** The 20 bytes of a key; the next call overwrites them. */
function viewOf(key: string): DataView {
  writeKeyBytes(key, keyBytes, 0)
  return keyView
}

/** The 20 bytes of a key, in an array of their own. */
export function keyBytesOf(key: string): Uint8Array {
  writeKeyBytes(key, keyBytes, 0)
  return Uint8Array.from(keyBytes)
}

/** Value of an entry; undefined when there is none. */
export function readEntry(table: AccessTable, key: string): number | undefined {
  const value = findValue(table, viewOf(key), 0)
  return value === ABSENT ? undefined : value
}

/** Adds an entry or changes its value. Returns false if the table is full. */
export function setEntry(table: AccessTable, key: string, value: number): boolean {
  const isSet = setValue(table, viewOf(key), 0, value)
  if (!isSet || isHexKey(key)) return isSet
  const known = names.get(table) ?? new Map<string, string>()
  names.set(table, known.set(keyBytes.toString('hex'), key))
  return true
}

/** Removes an entry. Returns whether it existed. */
export function removeEntry(table: AccessTable, key: string): boolean {
  const view = viewOf(key)
  names.get(table)?.delete(keyBytes.toString('hex'))
  return removeValue(table, view, 0)
}

export function clearEntries(table: AccessTable): void {
  clearTable(table)
  names.delete(table)
}

export function entryCount(table: AccessTable): number {
  return keyCount(table)
}

/** The key of an entry by the hexadecimal digits of its 20 bytes. */
export function entryKey(table: AccessTable, hex: string): string {
  return names.get(table)?.get(hex) ?? hex
}

/**
 * Calls `visit` for each entry with the hexadecimal digits of its 20 bytes. It must not change the
 * table.
 */
export function eachEntry(table: AccessTable, visit: (hex: string, value: number) => void): void {
  eachKey(table, (bytes, at, value) => {
    visit(Buffer.from(bytes.slice(at, at + keyBytes.length)).toString('hex'), value)
  })
}
