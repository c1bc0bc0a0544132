import type { Kysely } from 'kysely'
import type { Dialect, Tables } from './dialect.ts'
import { sql } from './kysely.ts'
import type { TableOutline } from './shapes.ts'

/**
 * Creates a table if it does not exist, with an index on the column by which its rows are found.
 */
export async function createTable(
  dialect: Dialect,
  db: Kysely<Tables>,
  { table, primary, others, indexed }: TableOutline,
): Promise<void> {
  if (await dialect.columns(table)) return
  let create = db.schema
    .createTable(table)
    .ifNotExists()
    .addColumn(primary.name, sql.raw(dialect.type(primary.kind)), column =>
      primary.kind === 'serial' ? column : column.notNull().primaryKey(),
    )
  for (const { name, kind } of others) {
    create = create.addColumn(name, sql.raw(dialect.type(kind)), column =>
      kind === 'binary' || kind === 'hex' || kind === 'key'
        ? column.notNull()
        : column.notNull().defaultTo(0),
    )
  }
  await createOnce(create)
  if (!indexed) return
  const name = `${table.replace('.', '_').slice(0, 40)}_by_key`
  await createOnce(db.schema.createIndex(name).on(table).column(indexed.name))
}

/** Errors of a table or index that exists: SQLSTATE of PostgreSQL, and names of MySQL's errors. */
const EXISTS = new Set(['42P07', '42710', '23505', 'ER_TABLE_EXISTS_ERROR', 'ER_DUP_KEYNAME'])

/**
 * Creates a table or an index, unless another node creates it at the same time. `if not exists` is
 * not enough for that: PostgreSQL then reports a duplicate key in its own tables.
 */
export async function createOnce(statement: { execute(): Promise<unknown> }): Promise<void> {
  try {
    await statement.execute()
  } catch (error) {
    if (!EXISTS.has(String((error as { code?: unknown }).code))) throw error
  }
}
