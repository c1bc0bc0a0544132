import type { Kysely } from 'kysely'
import { encode } from './columns.ts'
import { createTable } from './create.ts'
import type { Dialect, Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import { endOf, lifetimeOf, unixSeconds } from './key-times.ts'
import { sql } from './kysely.ts'
import type { KeyEndRow, KeyRow, LifetimeRow } from './rows.ts'
import type { KeyShapes, Shape } from './shapes.ts'
import { decodeRow, deleteWhere, STATEMENT_ROWS_MAX, upsert } from './statements.ts'
import { clearRows, hashTable, type KeyTable, type Store } from './table.ts'

/**
 * Keys. The table of keys has lifetimes, as in Torrust-Actix, which adds them to the time at which
 * it loads them. A table beside it has the time at which each key ends, so that a restart does not
 * renew it. The end counts as long as the table of keys still has the lifetime that it was stored
 * with: a row that another program changed has a new lifetime, which starts when it is loaded.
 *
 * Another node or program may have changed a key since this one read it. `refresh` and
 * `removeExpired` do not change such a key.
 */
export function keysTable(store: Store, shapes: KeyShapes): KeyTable<KeyRow> {
  const { keys, keyEnds } = shapes
  const { dialect, transact, retry, chunkSize } = store
  const lifetimes = hashTable(store, keys)
  const encoded = (hash: string) => encode(keys.primary.kind, hash)
  let prepared: Promise<void> | undefined
  const prepare = () => {
    prepared ??= retry(() => createTable(dialect, dialect.kysely, keyEnds)).catch(error => {
      prepared = undefined
      throw error
    })
    return prepared
  }

  async function save(rows: readonly KeyRow[]): Promise<void> {
    await prepare()
    for (const part of inParts([...byHash(rows).values()], chunkSize)) {
      await transact(db => write(db, dialect, shapes, part))
    }
  }

  return {
    async *load() {
      await prepare()
      for await (const chunk of lifetimes.load()) {
        const { rows, changed } = await withEnds(dialect.kysely, keyEnds, chunk)
        yield rows
        await save(changed)
      }
    },
    save,
    async update(rows) {
      await prepare()
      for (const part of inParts([...byHash(rows).values()], chunkSize)) {
        await transact(async db => {
          const hashes = part.map(({ hash }) => hash)
          const known = await rowsOf(db, keys, hashes)
          const rest = part.filter(({ hash }) => known.has(hash))
          await write(db, dialect, shapes, rest)
        })
      }
    },
    async remove(hashes) {
      await prepare()
      for (const part of inParts(hashes.toSorted(), chunkSize)) {
        await transact(async db => {
          await deleteWhere(db, keys, keys.primary, part.map(encoded))
          await deleteWhere(db, keyEnds, keyEnds.primary, part.map(encoded))
        })
      }
    },
    ...sharedWrites(store, shapes, prepare),
    async clear() {
      await prepare()
      await clearRows(store, keys)
      await clearRows(store, keyEnds)
    },
  }
}

/** Writes that do not change a key if another node or program has changed it. */
function sharedWrites(
  { dialect, transact, chunkSize }: Store,
  shapes: KeyShapes,
  prepare: () => Promise<void>,
): Pick<KeyTable<KeyRow>, 'refresh' | 'removeExpired'> {
  const { keys, keyEnds } = shapes
  return {
    async refresh(rows) {
      await prepare()
      for (const part of inParts([...byHash(rows).values()], chunkSize)) {
        const hashes = part.map(({ hash }) => hash)
        await transact(async db => {
          const ends = await lockEnds(db, shapes, hashes)
          const same = part.filter(({ hash, timeout }) => ends.get(hash) === timeout)
          await write(db, dialect, shapes, same)
        })
      }
    },
    async removeExpired(hashes, now) {
      await prepare()
      for (const part of inParts(hashes.toSorted(), chunkSize)) {
        await transact(async db => {
          const ends = await lockEnds(db, shapes, part)
          const isExpired = (end: number | undefined) => end !== undefined && end > 0 && end <= now
          const expired = part
            .filter(hash => isExpired(ends.get(hash)))
            .map(hash => encode(keys.primary.kind, hash))
          await deleteWhere(db, keys, keys.primary, expired)
          await deleteWhere(db, keyEnds, keyEnds.primary, expired)
        })
      }
    },
  }
}

/**
 * The ends of these keys, which other nodes cannot change until the transaction ends. Keys that
 * another program changed are left out.
 */
async function lockEnds(
  db: Kysely<Tables>,
  { keys, keyEnds }: KeyShapes,
  hashes: readonly string[],
): Promise<Map<string, number>> {
  await lockRows(db, keys, hashes)
  const lifetimes = await rowsOf(db, keys, hashes)
  const unchanged = new Map<string, number>()
  for (const { end, hash, lifetime } of (await rowsOf(db, keyEnds, hashes)).values()) {
    if (lifetimes.get(hash)?.timeout === lifetime) unchanged.set(hash, end)
  }
  return unchanged
}

/** Locks the rows of these keys until the transaction ends. */
async function lockRows(
  db: Kysely<Tables>,
  { others, primary, table }: KeyShapes['keys'],
  hashes: readonly string[],
): Promise<void> {
  const [column = primary] = others
  for (const part of inParts(hashes, STATEMENT_ROWS_MAX)) {
    const values = part.map(hash => encode(primary.kind, hash))
    // SQLite has no `for update`.
    const same = { [column.name]: sql.ref(column.name) }
    await db.updateTable(table).set(same).where(primary.name, 'in', values).execute()
  }
}

/** Writes the lifetimes from now on, and the times at which they end. */
async function write(
  db: Kysely<Tables>,
  dialect: Dialect,
  { keys, keyEnds }: KeyShapes,
  rows: readonly KeyRow[],
): Promise<void> {
  const now = unixSeconds()
  const ends = rows.map(({ hash, timeout }) => ({
    hash,
    lifetime: lifetimeOf(timeout, now),
    end: timeout,
  }))
  const lifetimes = ends.map(({ hash, lifetime }) => ({ hash, timeout: lifetime }))
  await upsert(db, dialect, keys, lifetimes)
  await upsert(db, dialect, keyEnds, ends)
}

/** The rows with the times at which they end, and those whose lifetime starts now. */
async function withEnds(
  db: Kysely<Tables>,
  shape: Shape<KeyEndRow>,
  lifetimes: readonly LifetimeRow[],
): Promise<{ rows: KeyRow[]; changed: KeyRow[] }> {
  const hashes = lifetimes.map(({ hash }) => hash)
  const ends = await rowsOf(db, shape, hashes)
  const now = unixSeconds()
  const changed: KeyRow[] = []
  const rows = lifetimes.map(({ hash, timeout }) => {
    const known = ends.get(hash)
    if (known?.lifetime === timeout) return { hash, timeout: known.end }
    const row = { hash, timeout: endOf(timeout, now) }
    changed.push(row)
    return row
  })
  return { rows, changed }
}

/** The last row of each hash, in the order of the hashes. */
function byHash(rows: readonly KeyRow[]): Map<string, KeyRow> {
  const sorted = rows.toSorted((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0))
  return new Map(sorted.map(row => [row.hash, row]))
}

/** The rows of these hashes, by hash. */
async function rowsOf<Row extends LifetimeRow | KeyEndRow>(
  db: Kysely<Tables>,
  shape: Shape<Row>,
  hashes: readonly string[],
): Promise<Map<string, Row>> {
  const { table, primary, others } = shape
  const rows = new Map<string, Row>()
  for (const part of inParts(hashes, STATEMENT_ROWS_MAX)) {
    const names = [primary.name, ...others.map(({ name }) => name)]
    const values = part.map(hash => encode(primary.kind, hash))
    const page = db.selectFrom(table).select(names).where(primary.name, 'in', values)
    for (const found of await page.execute()) {
      const row = decodeRow(shape, found)
      if (row) rows.set(row.hash, row)
    }
  }
  return rows
}
