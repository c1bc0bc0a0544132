import type { OperatorError } from '../errors.ts'
import type { Ledger } from './ledger.ts'
import type { KeyRow, ListRow, TorrentRow, UserRow } from './rows.ts'
import type { HashTable, KeyTable, Table } from './table.ts'

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
  readonly keys: KeyTable<KeyRow>
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
