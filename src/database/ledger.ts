import { setImmediate } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { DatabaseStructureConfig } from '../config/config.ts'
import { configError } from '../errors.ts'
import { columnFaults } from './check.ts'
import { type ColumnKind, type ColumnOutline, decode, encode, TOTAL_MAX } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import type { Shapes } from './shapes.ts'
import { inParts } from './statements.ts'
import { clearRows, LOAD_ROWS_MAX, type Store } from './table.ts'

/**
 * The transfers of each user in each torrent, and the sessions that they are computed from. Both
 * are written in one transaction with the users' totals: after a crash, the totals are exactly the
 * sum of what the stored sessions reported, so that nothing is lost or credited twice once the
 * clients announce again.
 */
export type Ledger = {
  /** Creates the tables if they do not exist. Rejects with an OperatorError if they do not fit. */
  prepare(): Promise<void>
  /**
   * Adds a batch, wholly or not at all. A batch that was written already, by an earlier call whose
   * result got lost, is not added again. Resolves to the number of rows.
   */
  write(batch: Batch): Promise<number>
  /** Sessions seen since `seen`, at most about `most` of them, the newest. */
  loadSessions(seen: number, most: number): AsyncIterable<readonly SessionRow[]>
  /** Deletes sessions that were last seen before `seen`. */
  expire(seen: number): Promise<void>
  /** Deletes everything about these users. */
  removeUsers(ids: readonly string[]): Promise<void>
  clear(): Promise<void>
  /**
   * Rows of a user, or of a torrent, at most `count`, in the order of the other key after `after`.
   */
  torrentsOf(user: string, after: string, count: number): Promise<LedgerRow[]>
  usersOf(hash: string, after: string, count: number): Promise<LedgerRow[]>
}

/** Changes of several users that are written together. */
export type Batch = {
  /** Unique among all batches. */
  readonly id: number
  /** Whether an earlier attempt to write this batch may have succeeded. */
  attempted: boolean
  readonly users: readonly UserChange[]
}

/** Changes by one user's sessions. Bytes are the credited ones. */
export type UserChange = {
  readonly user: string
  uploaded: bigint
  downloaded: bigint
  completed: number
  /** Unix seconds. */
  updated: number
  readonly torrents: Map<string, LedgerRow>
  /** Sessions by info hash and peer id. */
  readonly sessions: Map<string, SessionRow>
}

/** A session as it is stored. Times in Unix seconds, hashes in hexadecimal digits. */
export type SessionRow = {
  readonly user: string
  readonly hash: string
  readonly peerId: string
  readonly uploaded: number
  readonly downloaded: number
  readonly finalUp: number
  readonly finalDown: number
  readonly left: number
  readonly restarted: number
  readonly first: number
  readonly seen: number
  readonly state: number
}

/** A user's numbers in a torrent: growth in a batch, sums in the table. */
export type LedgerRow = {
  readonly user: string
  readonly hash: string
  uploaded: bigint
  downloaded: bigint
  creditedUp: bigint
  creditedDown: bigint
  idleUp: bigint
  seeding: number
  completed: number
  left: number
  first: number
  last: number
  /** 0 for never. */
  completedAt: number
}

type Column<Row> = ColumnOutline & { readonly field: keyof Row & string }
/** The change of a column: the sum, the new value, the larger of both, or none. */
type Change = 'add' | 'set' | 'max' | 'keep'
type LedgerColumn<Row> = Column<Row> & { readonly change: Change }

type Outline<Row> = {
  readonly section: string
  readonly table: string
  readonly keys: readonly Column<Row>[]
  readonly others: readonly LedgerColumn<Row>[]
}

/** Rows of one statement: 14 columns of them stay below SQLite's 32,766 parameters. */
const STATEMENT_ROWS_MAX = 500

export function createLedger(
  store: Store,
  shapes: Shapes,
  structure: DatabaseStructureConfig,
): Ledger {
  const { dialect, transact } = store
  const sessions = sessionOutline(structure, shapes, dialect)
  const torrents = torrentOutline(structure, shapes, dialect)
  return {
    prepare: () => prepare(dialect, sessions, torrents),
    write: batch => write(store, shapes.users, sessions, torrents, batch),
    loadSessions: (seen, most) => loadSessions(dialect, sessions, seen, most),
    async expire(seen) {
      const column = nameOf(sessions, 'seen')
      await transact(db => db.deleteFrom(sessions.table).where(column, '<', seen).execute())
    },
    async removeUsers(ids) {
      for (const part of inParts(ids, STATEMENT_ROWS_MAX)) {
        const values = part.map(id => encode(userKind(shapes), id))
        await transact(async db => {
          for (const { table, keys } of [sessions, torrents]) {
            await db
              .deleteFrom(table)
              .where((keys[0] as ColumnOutline).name, 'in', values)
              .execute()
          }
        })
      }
    },
    async clear() {
      for (const { table, keys } of [sessions, torrents]) {
        await clearRows(store, { table, primary: keys[0] as ColumnOutline })
      }
    },
    torrentsOf: (user, after, count) => page(dialect, torrents, 'user', user, 'hash', after, count),
    usersOf: (hash, after, count) => page(dialect, torrents, 'hash', hash, 'user', after, count),
  }
}

function userKind({ users }: Shapes): ColumnKind {
  return users.primary.kind === 'uuid' ? 'uuid' : 'id'
}

function sessionOutline(
  structure: DatabaseStructureConfig,
  shapes: Shapes,
  { fold }: Dialect,
): Outline<SessionRow & { readonly batch: number }> {
  const section = 'sessions'
  const table = fold(structure.sessions.table_name)
  const column = (name: string, field: string, kind: ColumnKind) =>
    ({ name, field, kind, key: 'table_name', change: 'set' }) as never
  return {
    section,
    table,
    keys: [
      column('user_id', 'user', userKind(shapes)),
      column('infohash', 'hash', 'binary'),
      column('peer_id', 'peerId', 'binary'),
    ],
    others: [
      column('uploaded', 'uploaded', 'number'),
      column('downloaded', 'downloaded', 'number'),
      column('final_up', 'finalUp', 'number'),
      column('final_down', 'finalDown', 'number'),
      column('bytes_left', 'left', 'number'),
      column('restarted', 'restarted', 'number'),
      column('first_seen', 'first', 'number'),
      column('last_seen', 'seen', 'number'),
      column('state', 'state', 'number'),
      column('batch', 'batch', 'number'),
    ],
  }
}

function torrentOutline(
  { user_torrents: config }: DatabaseStructureConfig,
  shapes: Shapes,
  { fold }: Dialect,
): Outline<LedgerRow> {
  const column = (
    key: keyof typeof config,
    field: keyof LedgerRow,
    kind: ColumnKind,
    change: Change = 'keep',
  ): LedgerColumn<LedgerRow> => ({ name: fold(config[key]), field, kind, key, change })
  return {
    section: 'user_torrents',
    table: fold(config.table_name),
    keys: [
      column('column_user', 'user', userKind(shapes)),
      column('column_infohash', 'hash', 'binary'),
    ],
    others: [
      column('column_uploaded', 'uploaded', 'bytes', 'add'),
      column('column_downloaded', 'downloaded', 'bytes', 'add'),
      column('column_credited_up', 'creditedUp', 'bytes', 'add'),
      column('column_credited_down', 'creditedDown', 'bytes', 'add'),
      column('column_idle_up', 'idleUp', 'bytes', 'add'),
      column('column_seeding', 'seeding', 'number', 'add'),
      column('column_completed', 'completed', 'number', 'add'),
      column('column_left', 'left', 'number', 'set'),
      column('column_first', 'first', 'number', 'keep'),
      column('column_last', 'last', 'number', 'max'),
      column('column_completed_at', 'completedAt', 'number', 'max'),
    ],
  }
}

function nameOf<Row>({ keys, others }: Outline<Row>, field: keyof Row): string {
  const found = [...keys, ...others].find(column => column.field === field)
  if (!found) throw new Error(`no column for ${String(field)}`)
  return found.name
}

async function prepare(
  dialect: Dialect,
  sessions: Outline<never>,
  torrents: Outline<never>,
): Promise<void> {
  await createLedgerTable(dialect, sessions, 'last_seen')
  await createLedgerTable(dialect, torrents, (torrents.keys[1] as ColumnOutline).name)
  const lines: string[] = []
  for (const outline of [sessions, torrents] as Outline<never>[]) {
    const { section, table, keys, others } = outline
    lines.push(...(await columnFaults(dialect, section, table, [...keys, ...others])))
  }
  if (lines.length > 0) throw configError(lines)
}

async function createLedgerTable(
  dialect: Dialect,
  { table, keys, others }: Outline<never>,
  indexed: string,
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
  await create.addPrimaryKeyConstraint(`${bare}_pk`, names).execute()
  await schema.createIndex(`${bare}_by_${indexed}`).on(table).column(indexed).execute()
}

async function write(
  store: Store,
  users: Shapes['users'],
  sessions: Outline<SessionRow & { readonly batch: number }>,
  torrents: Outline<LedgerRow>,
  batch: Batch,
): Promise<number> {
  const { dialect, transact } = store
  const sessionRows = batch.users
    .flatMap(({ sessions }) => [...sessions.values()])
    .map(row => ({ ...row, batch: batch.id }))
  const torrentRows = batch.users.flatMap(({ torrents }) => [...torrents.values()])
  await transact(async db => {
    const [marker] = sessionRows
    if (batch.attempted && marker && (await isWritten(db, sessions, marker))) return
    batch.attempted = true
    await addToUsers(db, dialect, users, batch.users)
    await upsertChanges(db, dialect, torrents, torrentRows)
    await upsertChanges(db, dialect, sessions, sessionRows)
  })
  return batch.users.length + torrentRows.length + sessionRows.length
}

/** Whether the batch of this row has been committed: its sessions carry the batch's id. */
async function isWritten(
  db: Kysely<Tables>,
  { table, keys }: Outline<SessionRow & { readonly batch: number }>,
  row: SessionRow & { readonly batch: number },
): Promise<boolean> {
  let query = db.selectFrom(table).select('batch')
  for (const { name, kind, field } of keys) query = query.where(name, '=', encode(kind, row[field]))
  const found = await query.executeTakeFirst()
  return Number(found?.['batch'] ?? 0) === row.batch
}

/** Maximum users of one statement; its time grows with their square. */
const UPDATE_USERS_MAX = 100

/** Adds to users' totals. A user that the site has deleted is skipped. */
async function addToUsers(
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

/** The sum of a column and a value, which stops at TOTAL_MAX. */
function sum(dialect: Dialect, column: RawBuilder<unknown>, value: bigint): RawBuilder<unknown> {
  const added = dialect.number(value > TOTAL_MAX ? TOTAL_MAX : value)
  return saturated(column, added)
}

function saturated(column: RawBuilder<unknown>, added: RawBuilder<unknown>): RawBuilder<unknown> {
  const most = sql.raw(String(TOTAL_MAX))
  const now = sql`coalesce(${column}, 0)`
  return sql`case when ${now} > ${most} - ${added} then ${most} else ${now} + ${added} end`
}

async function upsertChanges<Row>(
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

function readRow<Row>(
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
 * Pages through the sessions in the order of their key. Where there are more than `most`, those
 * seen before the newest `most` are left out.
 */
async function* loadSessions(
  { kysely }: Dialect,
  outline: Outline<SessionRow & { readonly batch: number }>,
  seen: number,
  most: number,
): AsyncGenerator<readonly SessionRow[]> {
  const { table, keys, others } = outline
  const seenColumn = nameOf(outline, 'seen')
  const limit = await kysely
    .selectFrom(table)
    .select(seenColumn)
    .orderBy(seenColumn, 'desc')
    .offset(most)
    .limit(1)
    .executeTakeFirst()
  const since = Math.max(seen, limit ? Number(limit[seenColumn]) + 1 : 0)
  const names = keys.map(({ name }) => name) as [string, string, string]
  let after: Record<string, unknown> | undefined
  for (;;) {
    let query = kysely
      .selectFrom(table)
      .select([...keys, ...others].map(({ name }) => name))
      .where(seenColumn, '>=', since)
    if (after) {
      const [a, b, c] = names
      const last = after
      query = query.where(({ and, or, eb }) =>
        or([
          eb(a, '>', last[a]),
          and([eb(a, '=', last[a]), eb(b, '>', last[b])]),
          and([eb(a, '=', last[a]), eb(b, '=', last[b]), eb(c, '>', last[c])]),
        ]),
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

async function page(
  { kysely }: Dialect,
  outline: Outline<LedgerRow>,
  field: 'user' | 'hash',
  value: string,
  orderField: 'user' | 'hash',
  after: string,
  count: number,
): Promise<LedgerRow[]> {
  const { table, keys, others } = outline
  const by = keys.find(key => key.field === field) as Column<LedgerRow>
  const order = keys.find(key => key.field === orderField) as Column<LedgerRow>
  let query = kysely
    .selectFrom(table)
    .select([...keys, ...others].map(({ name }) => name))
    .where(by.name, '=', encode(by.kind, value))
    .orderBy(order.name)
    .limit(count)
  if (after !== '') query = query.where(order.name, '>', encode(order.kind, after))
  const found = await query.execute()
  return found.map(row => readRow(outline, row)).filter(row => row !== undefined)
}
