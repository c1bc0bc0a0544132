import { setImmediate } from 'node:timers/promises'
import type { Kysely, RawBuilder } from 'kysely'
import { type ColumnKind, type ColumnOutline, decode, encode, TOTAL_MAX } from './columns.ts'
import { createOnce } from './create.ts'
import type { Dialect, Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import { sql } from './kysely.ts'
import type { Shapes } from './shapes.ts'
import { LOAD_ROWS_MAX } from './table.ts'

/** Tables with a primary key of several columns, whose rows are added to. */

export type Column<Row> = ColumnOutline & { readonly field: keyof Row & string }
/** The change of a column: the sum, the new value, the larger of both, or none. */
export type Change = 'add' | 'set' | 'max' | 'keep'
export type LedgerColumn<Row> = Column<Row> & { readonly change: Change }

export type Outline<Row> = {
  readonly section: string
  readonly table: string
  readonly keys: readonly Column<Row>[]
  readonly others: readonly LedgerColumn<Row>[]
}

/** Rows of one statement: 14 columns of them stay below SQLite's 32,766 parameters. */
export const STATEMENT_ROWS_MAX = 500

export function userKind({ users }: Shapes): ColumnKind {
  return users.primary.kind === 'uuid' ? 'uuid' : 'id'
}

export function nameOf<Row>({ keys, others }: Outline<Row>, field: keyof Row): string {
  const found = [...keys, ...others].find(column => column.field === field)
  if (!found) throw new Error(`no column for ${String(field)}`)
  return found.name
}

export async function createLedgerTable(
  dialect: Dialect,
  { table, keys, others }: Outline<never>,
  indexed?: string,
): Promise<void> {
  if (await dialect.columns(table)) return
  const { schema } = dialect.kysely
  const names = keys.map(({ name }) => name) as never[]
  const bare = table.replace('.', '_').slice(0, 40)
  let create = schema.createTable(table).ifNotExists()
  for (const { name, kind } of [...keys, ...others] as ColumnOutline[]) {
    create = create.addColumn(name, sql.raw(dialect.type(kind)), column =>
      keys.some(key => (key as ColumnOutline).name === name)
        ? column.notNull()
        : column.notNull().defaultTo(0),
    )
  }
  await createOnce(create.addPrimaryKeyConstraint(`${bare}_pk`, names))
  if (indexed === undefined) return
  await createOnce(schema.createIndex(`${bare}_by_${indexed}`).on(table).column(indexed))
}

export function saturated(
  column: RawBuilder<unknown>,
  added: RawBuilder<unknown>,
): RawBuilder<unknown> {
  const most = sql.raw(String(TOTAL_MAX))
  const now = sql`coalesce(${column}, 0)`
  return sql`case when ${now} > ${most} - ${added} then ${most} else ${now} + ${added} end`
}

export async function upsertChanges<Row>(
  db: Kysely<Tables>,
  dialect: Dialect,
  { table, keys, others }: Outline<Row>,
  rows: readonly Row[],
): Promise<void> {
  const columns = [...keys, ...others]
  const bare = table.split('.').at(-1) as string
  const isMysql = dialect.upsert === 'on duplicate key'
  const next = ({ name, change }: LedgerColumn<Row>): RawBuilder<unknown> => {
    const old = sql.ref(`${bare}.${name}`)
    const added = isMysql ? sql`values(${sql.ref(name)})` : sql.ref(`excluded.${name}`)
    if (change === 'add') return saturated(old, added)
    if (change === 'max') return sql`case when ${old} < ${added} then ${added} else ${old} end`
    return added
  }
  const set = Object.fromEntries(
    others.filter(({ change }) => change !== 'keep').map(column => [column.name, next(column)]),
  )
  for (const part of inParts(rows, STATEMENT_ROWS_MAX)) {
    const values = part.map(row =>
      Object.fromEntries(columns.map(({ name, kind, field }) => [name, encode(kind, row[field])])),
    )
    const insert = db.insertInto(table).values(values)
    await (isMysql
      ? insert.onDuplicateKeyUpdate(set)
      : insert.onConflict(conflict =>
          conflict.columns(keys.map(({ name }) => name)).doUpdateSet(set),
        )
    ).execute()
  }
}

export function readRow<Row>(
  { keys, others }: Outline<Row>,
  found: Record<string, unknown>,
): Row | undefined {
  const row: Record<string, unknown> = {}
  for (const { name, kind, field } of [...keys, ...others]) {
    const value = decode(kind, found[name])
    if (value === undefined) return undefined
    row[field] = value
  }
  return row as Row
}

/**
 * Pages through the rows in the order of their key. With `from`, rows are left out whose column is
 * below `since`.
 */
export async function* loadOutline<Row>(
  { kysely }: Dialect,
  outline: Outline<Row>,
  from?: { readonly column: string; readonly since: number },
): AsyncGenerator<readonly Row[]> {
  const { table, keys, others } = outline
  const names = keys.map(({ name }) => name)
  let after: Record<string, unknown> | undefined
  for (;;) {
    let query = kysely.selectFrom(table).select([...keys, ...others].map(({ name }) => name))
    if (from) query = query.where(from.column, '>=', from.since)
    if (after) {
      const last = after
      query = query.where(({ and, or, eb }) =>
        or(
          names.map((name, n) =>
            and([
              ...names.slice(0, n).map(earlier => eb(earlier, '=', last[earlier])),
              eb(name, '>', last[name]),
            ]),
          ),
        ),
      )
    }
    for (const name of names) query = query.orderBy(name)
    const found = await query.limit(LOAD_ROWS_MAX).execute()
    const rows = found.map(row => readRow(outline, row)).filter(row => row !== undefined)
    if (rows.length > 0) yield rows
    if (found.length < LOAD_ROWS_MAX) return
    after = found.at(-1)
    await setImmediate()
  }
}
