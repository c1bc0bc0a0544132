import type { CompiledQuery, InsertQueryBuilder, Kysely, RawBuilder } from 'kysely'
import { type Column, type ColumnOutline, decode, encode } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import { sql } from './kysely.ts'
import type { Shape, TableOutline } from './shapes.ts'

/** Rows per statement. With 7 columns they stay below the 32,766 parameters of SQLite. */
export const STATEMENT_ROWS_MAX = 1000

/** Rows per update. The time grows with their square, which does not matter at this number. */
const UPDATE_ROWS_MAX = 100

/** Decodes a row of the database; undefined if its hash is invalid. */
export function decodeRow<Row>(shape: Shape<Row>, found: Record<string, unknown>): Row | undefined {
  const row: Record<string, unknown> = {}
  for (const { name, kind, field } of [shape.primary, ...shape.others]) {
    const value = decode(kind, found[name])
    if (value === undefined) return undefined
    row[field] = value
  }
  return row as Row
}

/** Selects at most `count` rows in the order of the primary key, after the key `after`. */
export function selectPage(
  db: Kysely<Tables>,
  shape: TableOutline,
  after: unknown,
  count: number,
): Promise<Record<string, unknown>[]> {
  const key = shape.primary.name
  const page = db
    .selectFrom(shape.table)
    .select([key, ...shape.others.map(({ name }) => name)])
    .orderBy(key)
    .limit(count)
  return (after === undefined ? page : page.where(key, '>', after)).execute()
}

/** Selects the rows that have these primary keys, as encoded. */
export async function selectRows(
  db: Kysely<Tables>,
  shape: TableOutline,
  keys: readonly unknown[],
): Promise<Record<string, unknown>[]> {
  const key = shape.primary.name
  const found: Record<string, unknown>[] = []
  for (const part of inParts(keys, STATEMENT_ROWS_MAX)) {
    const rows = db.selectFrom(shape.table).select([key, ...shape.others.map(({ name }) => name)])
    found.push(...(await rows.where(key, 'in', part).execute()))
  }
  return found
}

/**
 * Adds rows, or replaces those with their primary keys, each of which occurs in `rows` once. The
 * number in `summed` is added to that of an existing row.
 */
export async function upsert<Row>(
  db: Kysely<Tables>,
  dialect: Dialect,
  shape: Shape<Row>,
  rows: readonly Row[],
  summed?: keyof Row,
): Promise<void> {
  for (const part of inParts(rows, STATEMENT_ROWS_MAX)) {
    await db.executeQuery(upsertQuery(db, dialect, shape, part, summed))
  }
}

/**
 * Compiled once for whole parts: compiling takes Kysely several times as long as the statement
 * itself.
 */
const wholeParts = new WeakMap<TableOutline, CompiledQuery>()

function upsertQuery<Row>(
  db: Kysely<Tables>,
  dialect: Dialect,
  shape: Shape<Row>,
  rows: readonly Row[],
  summed: keyof Row | undefined,
): CompiledQuery {
  const columns = [shape.primary, ...shape.others]
  const parameters = rows.flatMap(row => columns.map(({ kind, field }) => encode(kind, row[field])))
  const isWhole = rows.length === STATEMENT_ROWS_MAX && summed === undefined
  const known = isWhole ? wholeParts.get(shape) : undefined
  if (known) return { ...known, parameters }
  const values = rows.map(() => Object.fromEntries(columns.map(({ name }) => [name, null])))
  const insert = db.insertInto(shape.table).values(values)
  const sum = shape.others.find(({ field }) => field === summed)?.name
  const compiled = replacing(insert, dialect, shape, sum).compile()
  if (isWhole) wholeParts.set(shape, compiled)
  return { ...compiled, parameters }
}

function replacing(
  insert: InsertQueryBuilder<Tables, string, unknown>,
  dialect: Dialect,
  { table, primary, others }: TableOutline,
  summed: string | undefined,
) {
  const names = others.map(({ name }) => name)
  const assigned = (name: string, value: RawBuilder<unknown>) =>
    name === summed ? sql`${sql.ref(`${table}.${name}`)} + ${value}` : value
  if (dialect.upsert === 'on duplicate key') {
    // MySQL requires an assignment; `insert ignore` would hide other faults than a duplicate key.
    return insert.onDuplicateKeyUpdate(
      setting(names.length > 0 ? names : [primary.name], name =>
        assigned(name, sql`values(${sql.ref(name)})`),
      ),
    )
  }
  return insert.onConflict(conflict =>
    names.length === 0
      ? conflict.column(primary.name).doNothing()
      : conflict
          .column(primary.name)
          .doUpdateSet(setting(names, name => assigned(name, sql`excluded.${sql.ref(name)}`))),
  )
}

function setting(
  names: readonly string[],
  value: (name: string) => RawBuilder<unknown>,
): Record<string, RawBuilder<unknown>> {
  return Object.fromEntries(names.map(name => [name, value(name)]))
}

/** A column to change. The number of a summed one, which may be negative, is added to the row's. */
export type ChangedColumn<Row> = Column<Row> & { readonly isSummed?: boolean }

/** Changes `columns` of the rows that have these primary keys, as encoded, and adds none. */
export async function update<Row>(
  db: Kysely<Tables>,
  dialect: Dialect,
  { table, primary }: Shape<Row>,
  columns: readonly ChangedColumn<Row>[],
  changes: readonly (readonly [key: unknown, row: Row])[],
): Promise<void> {
  for (const part of inParts(changes, UPDATE_ROWS_MAX)) {
    const values = columns.map(({ name, kind, field, isSummed }) => {
      const stored = (row: Row) => (isSummed ? row[field] : encode(kind, row[field]))
      const cases = part.map(([key, row]) => sql`when ${key} then ${dialect.number(stored(row))}`)
      const value = sql`case ${sql.ref(primary.name)} ${sql.join(cases, sql` `)} end`
      return [name, isSummed ? sql`${sql.ref(name)} + ${value}` : value]
    })
    await db
      .updateTable(table)
      .set(Object.fromEntries(values))
      .where(
        primary.name,
        'in',
        part.map(([key]) => key),
      )
      .execute()
  }
}

/** Deletes the rows whose `column` has one of these values, as encoded. */
export async function deleteWhere(
  db: Kysely<Tables>,
  { table }: TableOutline,
  column: ColumnOutline,
  values: readonly unknown[],
): Promise<void> {
  for (const part of inParts(values, STATEMENT_ROWS_MAX)) {
    await db.deleteFrom(table).where(column.name, 'in', part).execute()
  }
}
