import type { Kysely } from 'kysely'
import { decode, encode } from './columns.ts'
import type { Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import type { UserRow } from './rows.ts'
import type { Shapes } from './shapes.ts'
import { deleteWhere, STATEMENT_ROWS_MAX, update, upsert } from './statements.ts'
import { clearRows, loadRows, type Store, type Table } from './table.ts'

type UserShape = Shapes['users']

/**
 * Users are identified by their key, but the primary key of the table is the id, and the key column
 * may be neither unique nor indexed. Keys are therefore looked up a chunk at a time, which is one
 * pass over a table without an index; all other statements use the id. Columns that muster does not
 * use stay unchanged.
 */
export function usersTable(store: Store, shape: UserShape): Table<UserRow> {
  const { dialect, transact, chunkSize } = store
  const { primary, indexed, others } = shape
  const id = (value: string) => encode(primary.kind, value)
  const counts = others.filter(column => column !== indexed)
  return {
    load: () => loadRows(store, shape),
    async save(rows) {
      for (const part of inParts(rows, chunkSize)) {
        const { latest, replaced, keys } = sortOut(part)
        await transact(async db => {
          const holders = await usersWith(db, shape, keys)
          const removed = holders.filter(user => latest.get(user.id)?.key !== user.key)
          const ids = new Set([...replaced, ...removed.map(user => user.id)])
          await deleteWhere(db, shape, primary, [...ids].map(id))
          await upsert(db, dialect, shape, [...latest.values()])
        })
      }
    },
    async update(rows, fields) {
      const columns = fields ? counts.filter(({ field }) => fields.includes(field)) : counts
      for (const part of inParts(rows, chunkSize)) {
        const byKey = new Map(part.map(row => [row.key, row]))
        await transact(async db => {
          const found = await usersWith(db, shape, [...byKey.keys()])
          const changes = found.flatMap(user => {
            const row = byKey.get(user.key)
            return row ? [[id(user.id), row] as const] : []
          })
          await update(db, dialect, shape, columns, changes)
        })
      }
    },
    async remove(keys) {
      for (const part of inParts(keys, chunkSize)) {
        const values = part.map(key => encode(indexed.kind, key))
        await transact(db => deleteWhere(db, shape, indexed, values))
      }
    },
    clear: () => clearRows(store, shape),
  }
}

/**
 * The result of saving these rows one after another: of two with the same id or the same key the
 * later one stays, and the earlier one's id is deleted unless a later row has it.
 */
function sortOut(rows: readonly UserRow[]) {
  const latest = new Map<string, UserRow>()
  const ids = new Set<string>()
  const keys = new Set<string>()
  for (const row of rows.toReversed()) {
    if (!ids.has(row.id) && !keys.has(row.key)) latest.set(row.id, row)
    ids.add(row.id)
    keys.add(row.key)
  }
  return { latest, replaced: [...ids].filter(id => !latest.has(id)), keys: [...keys] }
}

/** Id and key of each user who has one of these keys. */
async function usersWith(
  db: Kysely<Tables>,
  { table, primary, indexed }: UserShape,
  keys: readonly string[],
): Promise<{ id: string; key: string }[]> {
  const users: { id: string; key: string }[] = []
  for (const part of inParts(keys, STATEMENT_ROWS_MAX)) {
    const found = await db
      .selectFrom(table)
      .select([primary.name, indexed.name])
      .where(
        indexed.name,
        'in',
        part.map(key => encode(indexed.kind, key)),
      )
      .execute()
    for (const row of found) {
      const id = decode(primary.kind, row[primary.name])
      const key = decode(indexed.kind, row[indexed.name])
      if (typeof id === 'string' && typeof key === 'string') users.push({ id, key })
    }
  }
  return users
}
