import type { OperatorError } from '../errors.ts'
import type { Ledger } from './ledger.ts'

/**
 * What is kept: five tables in SQLite, PostgreSQL or MySQL/MariaDB, named and typed as `[database_structure.*]` says. Hashes are 40
 * lower-case hex digits here, whatever the columns hold. Rows are written in transactions of `chunk_size`: of a call that rejects, the first
 * chunks may be there, each of them whole. Calls that write to one table take effect in the order they are made, and what resolved is on disk.
 */
export type Database = {
  readonly torrents: Table<TorrentRow>
  readonly whitelist: Table<ListRow>
  readonly blacklist: Table<ListRow>
  readonly keys: Table<KeyRow>
  readonly users: Table<UserRow>
  readonly ledger: Ledger
  /** Whether a row caused an error, by its values: other rows can be written. */
  isRowFault(error: unknown): boolean
  /** Creates the tables that are not there. */
  createTables(): Promise<void>
  /** Rejects with an OperatorError that names the table and column where the schema does not fit. */
  checkTables(): Promise<void>
  /** What the operator can do about an error of any of these calls. */
  explain(error: unknown): OperatorError
  /** Resolves when the server answers. */
  ping(): Promise<void>
  /** Finishes what was asked for, and refuses more. */
  close(): Promise<void>
}

export type Table<Row> = {
  /** All rows in the order of the primary key, in chunks, without holding them all in memory. Passes over those whose hash is none. */
  load(): AsyncIterable<readonly Row[]>
  /** Adds rows, or replaces those with the same hash; a user replaces those with the same id or the same key. The last of several counts. */
  save(rows: readonly Row[]): Promise<void>
  /**
   * Changes rows that are there and adds none: all fields, or those named. A user is found by key, and keeps the id.
   */
  update(rows: readonly Row[], fields?: readonly (keyof Row)[]): Promise<void>
  /** By hash; a user by key. What is not there is no error. */
  remove(hashes: readonly string[]): Promise<void>
  clear(): Promise<void>
}

export type TorrentRow = {
  readonly hash: string
  readonly seeds: number
  readonly peers: number
  readonly completed: number
}

export type ListRow = { readonly hash: string }

/** `timeout` is when the key ends, in Unix seconds; 0 for never. */
export type KeyRow = { readonly hash: string; readonly timeout: number }

/** `id` is a UUID or a decimal number, as `id_uuid` says; `updated` in Unix seconds. */
export type UserRow = {
  readonly id: string
  readonly key: string
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly completed: number
  readonly updated: number
  readonly active: boolean
}
