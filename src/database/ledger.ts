import type { Kysely } from 'kysely'
import type { DatabaseStructureConfig } from '../config/config.ts'
import { configError } from '../errors.ts'
import { columnFaults } from './check.ts'
import { type ColumnKind, type ColumnOutline, encode } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import {
  type FactorRow,
  factorOutline,
  loadFactors,
  noUser,
  type RemovedFactor,
  removeFactors,
  saveFactors,
} from './factors.ts'
import { inParts } from './in-parts.ts'
import { type LedgerParts, ledgerParts } from './ledger-parts.ts'
import type { Batch, BatchedSession, LedgerRow, LoadedSession, RowFilter } from './ledger-rows.ts'
import {
  type Change,
  type Column,
  createLedgerTable,
  type LedgerColumn,
  loadOutline,
  nameOf,
  type Outline,
  readRow,
  STATEMENT_ROWS_MAX,
  upsertChanges,
  userKind,
} from './outline.ts'
import type { Shapes } from './shapes.ts'
import { addTotals, consistent, totalsOutline, writeShared } from './shared-sessions.ts'
import { clearRows, type Store } from './table.ts'
import { addToUsers } from './user-sums.ts'

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
  loadSessions(seen: number, most: number): AsyncIterable<readonly LoadedSession[]>
  /** Deletes sessions that were last seen before `seen`. */
  expire(seen: number): Promise<void>
  /** Deletes everything about these users. */
  removeUsers(ids: readonly string[]): Promise<void>
  clear(): Promise<void>
  /** The tables, as they are exported and imported. */
  readonly parts: LedgerParts
  /** Factors of users' credit, all of them. */
  loadFactors(): Promise<FactorRow[]>
  saveFactors(rows: readonly FactorRow[]): Promise<void>
  removeFactors(rows: readonly RemovedFactor[]): Promise<void>
  /**
   * Rows of a user, or of a torrent, at most `count`, in the order of the other key after `after`.
   * The filter leaves out rows.
   */
  torrentsOf(user: string, after: string, count: number, filter?: RowFilter): Promise<LedgerRow[]>
  usersOf(hash: string, after: string, count: number, filter?: RowFilter): Promise<LedgerRow[]>
}

/** Where several nodes write to the database. */
export type SharedBy = {
  /** The write of a session adds its downloads to the row of the torrent. */
  readonly countsDownloads: boolean
  /** Rows of torrents that the database does not have are added. */
  readonly insertVacant: boolean
}

export function createLedger(
  store: Store,
  shapes: Shapes,
  structure: DatabaseStructureConfig,
  sharedBy?: SharedBy,
): Ledger {
  const { dialect, transact } = store
  const sessions = sessionOutline(structure, shapes, dialect)
  const torrents = torrentOutline(structure, shapes, dialect)
  const factors = factorOutline(structure, shapes, dialect)
  const noId = noUser(shapes)
  const totals = sharedBy && totalsOutline(sessions)
  const { countsDownloads = false, insertVacant = false } = sharedBy ?? {}
  const downloads = countsDownloads ? { shape: shapes.torrents, insertVacant } : undefined
  const ready = async () => {
    await prepare(dialect, sessions, torrents, factors)
    if (totals) await addTotals(dialect, totals)
  }
  return {
    prepare: ready,
    write: batch =>
      totals
        ? writeShared(store, { users: shapes.users, downloads, sessions: totals, torrents }, batch)
        : write(store, shapes.users, sessions, torrents, batch),
    async *loadSessions(seen, most) {
      if (!totals) {
        yield* loadSessions(dialect, sessions, seen, most)
        return
      }
      for await (const rows of loadSessions(dialect, totals, seen, most)) {
        yield rows.map(row => ({ ...row, totals: consistent(row) }))
      }
    },
    async expire(seen) {
      const column = nameOf(sessions, 'seen')
      await transact(db => db.deleteFrom(sessions.table).where(column, '<', seen).execute())
    },
    async removeUsers(ids) {
      for (const part of inParts(ids, STATEMENT_ROWS_MAX)) {
        const values = part.map(id => encode(userKind(shapes), id))
        await transact(async db => {
          for (const { table, keys } of [sessions, torrents, factors]) {
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
      const user = factors.keys[0] as ColumnOutline
      const none = encode(user.kind, noId)
      await transact(db => db.deleteFrom(factors.table).where(user.name, '!=', none).execute())
    },
    parts: ledgerParts(store, { torrents, sessions, factors }, ready),
    loadFactors: () => loadFactors(dialect, factors, noId),
    saveFactors: rows => saveFactors(store, factors, noId, rows),
    removeFactors: rows => removeFactors(store, factors, noId, rows),
    torrentsOf: (user, after, count, filter = {}) =>
      page(dialect, torrents, { by: 'user', value: user, order: 'hash', after, count, filter }),
    usersOf: (hash, after, count, filter = {}) =>
      page(dialect, torrents, { by: 'hash', value: hash, order: 'user', after, count, filter }),
  }
}

function sessionOutline(
  structure: DatabaseStructureConfig,
  shapes: Shapes,
  { fold }: Dialect,
): Outline<BatchedSession> {
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

async function prepare(
  dialect: Dialect,
  sessions: Outline<never>,
  torrents: Outline<never>,
  factors: Outline<never>,
): Promise<void> {
  await createLedgerTable(dialect, sessions, 'last_seen')
  await createLedgerTable(dialect, torrents, (torrents.keys[1] as ColumnOutline).name)
  await createLedgerTable(dialect, factors)
  const lines: string[] = []
  for (const outline of [sessions, torrents, factors] as Outline<never>[]) {
    const { section, table, keys, others } = outline
    lines.push(...(await columnFaults(dialect, section, table, [...keys, ...others])))
  }
  if (lines.length > 0) throw configError(lines)
}

async function write(
  store: Store,
  users: Shapes['users'],
  sessions: Outline<BatchedSession>,
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
  { table, keys }: Outline<BatchedSession>,
  row: BatchedSession,
): Promise<boolean> {
  let query = db.selectFrom(table).select('batch')
  for (const { name, kind, field } of keys) query = query.where(name, '=', encode(kind, row[field]))
  const found = await query.executeTakeFirst()
  return Number(found?.['batch'] ?? 0) === row.batch
}

/**
 * Pages through the sessions in the order of their key. Where there are more than `most`, those
 * seen before the newest `most` are left out.
 */
async function* loadSessions<Row extends { readonly seen: number }>(
  dialect: Dialect,
  outline: Outline<Row>,
  seen: number,
  most: number,
): AsyncGenerator<readonly Row[]> {
  const { table } = outline
  const seenColumn = nameOf(outline, 'seen')
  const limit = await dialect.kysely
    .selectFrom(table)
    .select(seenColumn)
    .orderBy(seenColumn, 'desc')
    .offset(most)
    .limit(1)
    .executeTakeFirst()
  const since = Math.max(seen, limit ? Number(limit[seenColumn]) + 1 : 0)
  yield* loadOutline(dialect, outline, { column: seenColumn, since })
}

type PageOf = {
  readonly by: 'user' | 'hash'
  readonly value: string
  readonly order: 'user' | 'hash'
  readonly after: string
  readonly count: number
  readonly filter: RowFilter
}

async function page(
  { kysely }: Dialect,
  outline: Outline<LedgerRow>,
  { by, value, order, after, count, filter }: PageOf,
): Promise<LedgerRow[]> {
  const { table, keys, others } = outline
  const own = keys.find(key => key.field === by) as Column<LedgerRow>
  const other = keys.find(key => key.field === order) as Column<LedgerRow>
  let query = kysely
    .selectFrom(table)
    .select([...keys, ...others].map(({ name }) => name))
    .where(own.name, '=', encode(own.kind, value))
    .orderBy(other.name)
    .limit(count)
  if (after !== '') query = query.where(other.name, '>', encode(other.kind, after))
  if (filter.isCompleted) query = query.where(nameOf(outline, 'completed'), '>', 0)
  if (filter.seedingBelow !== undefined) {
    query = query.where(nameOf(outline, 'seeding'), '<', filter.seedingBelow)
  }
  if (filter.lastBefore !== undefined) {
    query = query.where(nameOf(outline, 'last'), '<', filter.lastBefore)
  }
  const found = await query.execute()
  return found.map(row => readRow(outline, row)).filter(row => row !== undefined)
}
