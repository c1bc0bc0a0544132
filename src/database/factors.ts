import type { DatabaseStructureConfig } from '../config/config.ts'
import { type ColumnKind, encode } from './columns.ts'
import type { Dialect } from './dialect.ts'
import { type Outline, readRow, upsertChanges, userKind } from './outline.ts'
import type { Shapes } from './shapes.ts'
import type { Store } from './table.ts'

/**
 * Factors of a user's credit, or of a torrent, or of everybody: then the user or the hash is empty.
 * The table has an id or a hash of zeros in its place. Factors are in thousandths, `until` in Unix
 * seconds; 0 for never.
 */
export type FactorRow = {
  readonly user: string
  readonly hash: string
  readonly upload: number
  readonly download: number
  readonly until: number
}

const NO_HASH = '0'.repeat(40)

/** The id that stands for no user. */
export function noUser(shapes: Shapes): string {
  return userKind(shapes) === 'uuid' ? '00000000-0000-0000-0000-000000000000' : '0'
}

export function factorOutline(
  structure: DatabaseStructureConfig,
  shapes: Shapes,
  { fold }: Dialect,
): Outline<FactorRow> {
  const column = (name: string, field: string, kind: ColumnKind) =>
    ({ name, field, kind, key: 'table_name', change: 'set' }) as never
  return {
    section: 'factors',
    table: fold(structure.factors.table_name),
    keys: [column('user_id', 'user', userKind(shapes)), column('infohash', 'hash', 'binary')],
    others: [
      column('upload', 'upload', 'number'),
      column('download', 'download', 'number'),
      column('valid_until', 'until', 'number'),
    ],
  }
}

type Key = Pick<FactorRow, 'user' | 'hash'>
export type RemovedFactor = Key & { readonly until?: number }

function stored<Row extends Key>(row: Row, noId: string): Row {
  return { ...row, user: row.user || noId, hash: row.hash || NO_HASH }
}

export async function loadFactors(
  { kysely }: Dialect,
  outline: Outline<FactorRow>,
  noId: string,
): Promise<FactorRow[]> {
  const names = [...outline.keys, ...outline.others].map(({ name }) => name)
  const found = await kysely.selectFrom(outline.table).select(names).execute()
  return found.flatMap(row => {
    const factor = readRow(outline, row)
    if (!factor) return []
    const { hash, user } = factor
    return [{ ...factor, user: user === noId ? '' : user, hash: hash === NO_HASH ? '' : hash }]
  })
}

export async function saveFactors(
  { dialect, transact }: Store,
  outline: Outline<FactorRow>,
  noId: string,
  rows: readonly FactorRow[],
): Promise<void> {
  const values = rows.map(row => stored(row, noId))
  await transact(db => upsertChanges(db, dialect, outline, values))
}

/** A row with `until` is removed only if the database has the same end. */
export async function removeFactors(
  { transact }: Store,
  { table, keys, others }: Outline<FactorRow>,
  noId: string,
  rows: readonly RemovedFactor[],
): Promise<void> {
  const until = others.find(({ field }) => field === 'until')
  await transact(async db => {
    for (const row of rows) {
      const key = stored(row, noId)
      let query = db.deleteFrom(table)
      for (const { name, kind, field } of keys) {
        query = query.where(name, '=', encode(kind, key[field as keyof Key]))
      }
      if (row.until !== undefined && until) query = query.where(until.name, '=', row.until)
      await query.execute()
    }
  })
}
