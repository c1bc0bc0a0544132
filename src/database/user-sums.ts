import type { Kysely, RawBuilder } from 'kysely'
import { bounded, decode, encode } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import { sql } from './kysely.ts'
import type { UserChange, UserSums } from './ledger-rows.ts'
import { saturated } from './outline.ts'
import type { Shapes } from './shapes.ts'
import { STATEMENT_ROWS_MAX } from './statements.ts'

/** The totals in the rows of users. */

/** Maximum users of one statement; its time grows with their square. */
const UPDATE_USERS_MAX = 100

/** Adds to users' totals. A user that the site has deleted is skipped. */
export async function addToUsers(
  db: Kysely<Tables>,
  dialect: Dialect,
  users: Shapes['users'],
  changes: readonly UserChange[],
): Promise<void> {
  const { primary } = users
  const columnOf = (field: string) =>
    users.others.find(column => column.field === field)?.name ?? ''
  for (const part of inParts(changes, UPDATE_USERS_MAX)) {
    const id = ({ user }: UserChange) => encode(primary.kind, user)
    const choose = (
      field: string,
      next: (column: RawBuilder<unknown>, change: UserChange) => unknown,
    ) => {
      const column = sql.ref(columnOf(field))
      const cases = part.map(change => sql`when ${id(change)} then ${next(column, change)}`)
      return [
        columnOf(field),
        sql`case ${sql.ref(primary.name)} ${sql.join(cases, sql` `)} else ${column} end`,
      ]
    }
    const add = (field: 'uploaded' | 'downloaded') =>
      choose(field, (column, change) => sum(dialect, column, change[field]))
    await db
      .updateTable(users.table)
      .set(
        Object.fromEntries([
          add('uploaded'),
          add('downloaded'),
          choose(
            'completed',
            (column, { completed }) => sql`coalesce(${column}, 0) + ${dialect.number(completed)}`,
          ),
          choose('updated', (column, { updated }) => {
            const value = dialect.number(updated)
            return sql`case when coalesce(${column}, 0) < ${value} then ${value} else ${column} end`
          }),
        ]),
      )
      .where(primary.name, 'in', part.map(id))
      .execute()
  }
}

/** The sum of a column and a value, which stops at the largest value of a column. */
function sum(dialect: Dialect, column: RawBuilder<unknown>, value: bigint): RawBuilder<unknown> {
  return saturated(column, dialect.number(bounded(value)))
}

/**
 * Locks the rows of these users until the transaction ends, and reads their totals. `changes` are
 * in the order of the ids, so that two nodes do not deadlock. Users without a row are left out.
 */
export async function lockUsers(
  db: Kysely<Tables>,
  { table, primary, others }: Shapes['users'],
  changes: readonly UserChange[],
): Promise<Map<string, UserSums>> {
  const columnOf = (wanted: string) => others.find(({ field }) => field === wanted)?.name ?? ''
  const [up, down, done] = ['uploaded', 'downloaded', 'completed'].map(columnOf) as [
    string,
    string,
    string,
  ]
  const found = new Map<string, UserSums>()
  for (const part of inParts(changes, STATEMENT_ROWS_MAX)) {
    const rows = await db
      .selectFrom(table)
      .select([primary.name, up, down, done])
      .where(
        primary.name,
        'in',
        part.map(({ user }) => encode(primary.kind, user)),
      )
      .orderBy(primary.name)
      .forUpdate()
      .execute()
    for (const row of rows) {
      found.set(String(decode(primary.kind, row[primary.name])), {
        uploaded: decode('bytes', row[up]) as bigint,
        downloaded: decode('bytes', row[down]) as bigint,
        completed: Number(row[done] ?? 0),
      })
    }
  }
  return found
}
