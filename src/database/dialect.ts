import type { Kysely, RawBuilder } from 'kysely'
import type { OperatorError } from '../errors.ts'
import type { ColumnKind } from './columns.ts'

/**
 * Tables and columns have the names that the configuration gives them, so that no type can know
 * them.
 */
export type Tables = Record<string, Record<string, unknown>>

/** What SQLite, PostgreSQL and MySQL have each in their own way. */
export type Dialect = {
  readonly kysely: Kysely<Tables>
  /** Where the database is, for messages: no user, no password. */
  readonly address: string
  /** How a row that is there already is replaced. */
  readonly upsert: 'on conflict' | 'on duplicate key'
  /** A configured name as the database has it. */
  fold(name: string): string
  /**
   * Type of a column that is made for this kind; a serial's is complete with what makes it count.
   */
  type(kind: ColumnKind): string
  /** Whether a column of this type holds the kind unharmed. */
  fits(kind: ColumnKind, type: string): boolean
  /** A number where SQL says nothing about its type. */
  number(value: unknown): RawBuilder<unknown>
  /** Columns of a table; undefined when there is none of this name. */
  columns(table: string): Promise<FoundColumn[] | undefined>
  /** Whether a transaction that failed like this may succeed if it is run again. */
  mayRetry(error: unknown): boolean
  /** Whether a row caused an error, by its values. */
  isRowFault(error: unknown): boolean
  /** What the operator can do about an error. */
  explain(error: unknown): OperatorError
}

export type FoundColumn = {
  readonly name: string
  /** In the database's words, lower-case. */
  readonly type: string
  /** Whether it is the primary key, or has a unique index, by itself. */
  readonly unique: boolean
}

/** The code that a driver gives an error. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return String(code)
}

/** Messages of an error and its causes. An aggregate error does not have a message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
