import type { Kysely, RawBuilder } from 'kysely'
import type { OperatorError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'

/** The configuration names the tables and columns, so no type can know them. */
export type Tables = Record<string, Record<string, unknown>>

/** The differences between SQLite, PostgreSQL and MySQL. */
export type Dialect = {
  readonly kysely: Kysely<Tables>
  /** Address of the database for messages, without user and password. */
  readonly address: string
  /** The way to replace an existing row. */
  readonly upsert: 'on conflict' | 'on duplicate key'
  /** Converts a configured name to the form in which the database stores it. */
  fold(name: string): string
  /** Type of a new column for this kind; that of a serial includes its automatic numbering. */
  type(kind: ColumnKind): string
  /** Whether a column of this type stores the kind without loss. */
  fits(kind: ColumnKind, type: string): boolean
  /** A number in a place where SQL does not determine its type. */
  number(value: unknown): RawBuilder<unknown>
  /** Columns of a table; undefined for an unknown table. */
  columns(table: string): Promise<FoundColumn[] | undefined>
  /** Whether a transaction that failed with this error may succeed if it is run again. */
  mayRetry(error: unknown): boolean
  /** Whether a row caused an error, by its values. */
  isRowFault(error: unknown): boolean
  /** Converts an error to one that states what the operator can do. */
  explain(error: unknown): OperatorError
}

export type FoundColumn = {
  readonly name: string
  /** Name of the type in the database, in lower case. */
  readonly type: string
  /** Whether the column by itself is the primary key or has a unique index. */
  readonly unique: boolean
}

/** The code of a driver's error. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return String(code)
}

/** Messages of an error and its causes. An aggregate error does not have a message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
