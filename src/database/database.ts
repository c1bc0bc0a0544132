import type { OperatorError } from '../errors.ts'
import type { Ledger } from './ledger.ts'

/**
 * The tables in SQLite, PostgreSQL, MySQL or MariaDB, named and typed by `[database_structure.*]`.
 * Hashes are 40 lower-case hexadecimal digits here, whatever the columns store. Rows are written in
 * transactions of `chunk_size`. After a rejected call, the first chunks may be stored, each of them
 * completely. Writes to one table take effect in the order of the calls, and resolve once on disk.
 */
export type Database = {
  readonly torrents: HashTable<TorrentRow>
  readonly whitelist: Table<ListRow>
  readonly blacklist: Table<ListRow>
  readonly keys: Table<KeyRow>
  readonly users: Table<UserRow>
  readonly ledger: Ledger
  /** Whether a row caused an error, by its values: other rows can be written. */
  isRowFault(error: unknown): boolean
  /** Creates the missing tables. */
  createTables(): Promise<void>
  /**
   * Rejects with an OperatorError that names the table and column where the schema does not fit.
   */
  checkTables(): Promise<void>
  /** Converts an error of any of these calls to one that states what the operator can do. */
  explain(error: unknown): OperatorError
  /** Resolves when the server answers. */
  ping(): Promise<void>
  /** Finishes all earlier calls and rejects later ones. */
  close(): Promise<void>
}

export type Table<Row> = {
  /**
   * Yields all rows in the order of the primary key, in chunks. Skips rows with an invalid hash.
   */
  load(): AsyncIterable<readonly Row[]>
  /**
   * Adds or replaces rows by hash, users by id and key. The last of several rows for one hash wins.
   */
  save(rows: readonly Row[]): Promise<void>
  /**
   * Changes all or the named fields of existing rows, and adds none. Finds users by key and does
   * not change their ids.
   */
  update(rows: readonly Row[], fields?: readonly (keyof Row)[]): Promise<void>
  /** Removes rows by hash, users by key. Missing rows are not an error. */
  remove(hashes: readonly string[]): Promise<void>
  clear(): Promise<void>
}

/** A table whose rows are found by their hash. */
export type HashTable<Row> = Table<Row> & {
  /** The rows of those hashes that the table has, in no order. */
  find(hashes: readonly string[]): Promise<Row[]>
}

export type TorrentRow = {
  readonly hash: string
  readonly seeds: number
  readonly peers: number
  readonly completed: number
}

export type ListRow = { readonly hash: string }

/** `timeout` is the Unix second at which the key expires; 0 for never. */
export type KeyRow = { readonly hash: string; readonly timeout: number }

/** `id` is a UUID or a decimal number, depending on `id_uuid`; `updated` in Unix seconds. */
export type UserRow = {
  readonly id: string
  readonly key: string
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly completed: number
  readonly updated: number
  readonly active: boolean
}
