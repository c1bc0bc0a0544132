import { setImmediate } from 'node:timers/promises'
import { encode } from './columns.ts'
import type { Dialect } from './dialect.ts'
import { inParts } from './in-parts.ts'
import type { Shape, TableOutline } from './shapes.ts'
import { decodeRow, deleteWhere, selectPage, selectRows, update, upsert } from './statements.ts'
import type { Retry, Transact } from './transactions.ts'
import type { Turns } from './turns.ts'

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

/** The table of keys. */
export type KeyTable<Row> = Table<Row> & {
  /** Writes the remaining lifetimes of the keys whose end in the database is that in `rows`. */
  refresh(rows: readonly Row[]): Promise<void>
  /** Removes the keys that have expired in the database, too, by the Unix second `now`. */
  removeExpired(hashes: readonly string[], now: number): Promise<void>
}

/** A table whose rows are found by their hash. */
export type HashTable<Row> = Table<Row> & {
  /** The rows of those hashes that the table has, in no particular order. */
  find(hashes: readonly string[]): Promise<Row[]>
  /**
   * Changes the named fields of existing rows, in one transaction. The number in `summed` is added
   * to that of the row, so that several writers count together.
   */
  count(rows: readonly Row[], fields: readonly (keyof Row)[], summed: keyof Row): Promise<void>
  /** The same for all fields, and adds the missing rows. */
  enter(rows: readonly Row[], summed: keyof Row): Promise<void>
}

/** Maximum rows in memory during a load. */
export const LOAD_ROWS_MAX = 10_000

export type Store = {
  readonly dialect: Dialect
  readonly transact: Transact
  readonly retry: Retry
  /** Rows per transaction. */
  readonly chunkSize: number
}

/**
 * Serialises the writes to a table: a long write consists of many transactions, and an older row
 * must not replace a newer one because its chunk had to wait.
 */
export function inTurns<Row>(table: Table<Row>, turns: Turns): Table<Row> {
  return {
    ...table,
    save: rows => turns.take(() => table.save(rows)),
    update: (rows, fields) => turns.take(() => table.update(rows, fields)),
    remove: hashes => turns.take(() => table.remove(hashes)),
    clear: () => turns.take(() => table.clear()),
  }
}

/** The same for the table of keys. */
export function keyTableInTurns<Row>(table: KeyTable<Row>, turns: Turns): KeyTable<Row> {
  return {
    ...inTurns(table, turns),
    refresh: rows => turns.take(() => table.refresh(rows)),
    removeExpired: (...args) => turns.take(() => table.removeExpired(...args)),
  }
}

/** The same for all writes of a table whose rows are found by their hash. */
export function hashTableInTurns<Row>(table: HashTable<Row>, turns: Turns): HashTable<Row> {
  return {
    ...table,
    ...inTurns(table, turns),
    count: (...row) => turns.take(() => table.count(...row)),
    enter: (...row) => turns.take(() => table.enter(...row)),
  }
}

/** A table whose primary key is the hash. */
export function hashTable<Row extends { readonly hash: string }>(
  store: Store,
  shape: Shape<Row>,
): HashTable<Row> {
  const { dialect, transact, chunkSize } = store
  const { primary, others } = shape
  const key = (hash: string) => encode(primary.kind, hash)
  return {
    load: () => loadRows(store, shape),
    async find(hashes) {
      const found = await selectRows(dialect.kysely, shape, hashes.map(key))
      return found.map(row => decodeRow(shape, row)).filter((row): row is Row => row !== undefined)
    },
    async save(rows) {
      for (const part of inParts(latest(rows), chunkSize))
        await transact(db => upsert(db, dialect, shape, part))
    },
    async update(rows, fields) {
      const columns = fields ? others.filter(({ field }) => fields.includes(field)) : others
      if (columns.length === 0) return
      for (const part of inParts(latest(rows), chunkSize)) {
        const changes = part.map(row => [key(row.hash), row] as const)
        await transact(db => update(db, dialect, shape, columns, changes))
      }
    },
    async count(rows, fields, summed) {
      const columns = others
        .filter(({ field }) => fields.includes(field))
        .map(column => ({ ...column, isSummed: column.field === summed }))
      if (columns.length === 0) return
      const changes = latest(rows).map(row => [key(row.hash), row] as const)
      await transact(db => update(db, dialect, shape, columns, changes))
    },
    async enter(rows, summed) {
      await transact(db => upsert(db, dialect, shape, latest(rows), summed))
    },
    async remove(hashes) {
      for (const part of inParts(hashes.toSorted(), chunkSize))
        await transact(db => deleteWhere(db, shape, primary, part.map(key)))
    },
    clear: () => clearRows(store, shape),
  }
}

/** The last row of each hash, sorted by hash: a large index is written much faster in its order. */
function latest<Row extends { readonly hash: string }>(rows: readonly Row[]): Row[] {
  const sorted = rows.toSorted((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0))
  return sorted.filter((row, n) => row.hash !== sorted[n + 1]?.hash)
}

/** Yields all rows in the order of the primary key. Rows with an invalid hash are skipped. */
export async function* loadRows<Row>(
  { dialect }: Store,
  shape: Shape<Row>,
): AsyncGenerator<readonly Row[]> {
  let after: unknown
  for (;;) {
    const page = await selectPage(dialect.kysely, shape, after, LOAD_ROWS_MAX)
    const rows = page
      .map(found => decodeRow(shape, found))
      .filter((row): row is Row => row !== undefined)
    if (rows.length > 0) yield rows
    if (page.length < LOAD_ROWS_MAX) return
    after = page.at(-1)?.[shape.primary.name]
    // SQLite answers synchronously: let other work of this thread run.
    await setImmediate()
  }
}

/** Deletes all rows in chunks: one statement for millions of rows would exceed the time limit. */
export async function clearRows(
  { transact }: Store,
  shape: Pick<TableOutline, 'table' | 'primary'>,
): Promise<void> {
  const key = shape.primary.name
  for (;;) {
    const isEmpty = await transact(async db => {
      const page = db.selectFrom(shape.table).select(key).orderBy(key).limit(LOAD_ROWS_MAX)
      const last = (await page.execute()).at(-1)
      if (last) await db.deleteFrom(shape.table).where(key, '<=', last[key]).execute()
      return !last
    })
    if (isEmpty) return
  }
}
