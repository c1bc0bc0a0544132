import type { ColumnDefinitionBuilder, Kysely } from 'kysely'
import {
  createSessionTotals,
  GREW_TOO_FAST,
  isSameSession,
  joinSessions,
  type SessionTotals,
} from '../protocol/session-totals.ts'
import { bounded, type ColumnKind, encode } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import { inParts } from './in-parts.ts'
import { sql } from './kysely.ts'
import {
  type Batch,
  type BatchedSession,
  type LedgerRow,
  mergeTorrent,
  type StoredTotals,
  type UserChange,
} from './ledger-rows.ts'
import { type LedgerColumn, type Outline, readRow, upsertChanges } from './outline.ts'
import type { Shapes } from './shapes.ts'
import type { Store } from './table.ts'
import { addDownloads, type DownloadCounts } from './torrent-downloads.ts'
import { addToUsers, lockUsers } from './user-sums.ts'

/**
 * Sessions that several nodes write. Each node writes the totals that it knows, and the growth over
 * the stored ones is added to the user's row. The sum does not depend on which nodes write, in
 * which order, and how often.
 */

/** Columns in addition to those that a single node stores, and their fields. */
const TOTALS = [
  ['base_up', 'baseUp'],
  ['base_down', 'baseDown'],
  ['raw_up', 'rawUp'],
  ['raw_down', 'rawDown'],
  ['credit_up', 'creditUp'],
  ['credit_down', 'creditDown'],
  ['idle_up', 'idleUp'],
  ['seeding', 'seeding'],
  ['completed', 'completed'],
  ['run', 'run'],
] as const satisfies readonly (readonly [string, keyof SessionTotals])[]

/** The table of sessions with the columns of their totals. */
export function totalsOutline(sessions: Outline<BatchedSession>): Outline<StoredTotals> {
  const { keys, others, section, table } = sessions
  const more = TOTALS.map(([name, field]): LedgerColumn<StoredTotals> => {
    return { name, field, kind: 'number', key: 'table_name', change: 'set' }
  })
  const known = others.flatMap(({ field, ...column }) =>
    field === 'batch' ? [] : [{ ...column, field } as LedgerColumn<StoredTotals>],
  )
  return {
    section,
    table,
    keys: keys as Outline<StoredTotals>['keys'],
    others: [...known, ...more],
  }
}

/** Adds the columns that the table of a single node does not have. */
export async function addTotals(
  dialect: Dialect,
  { table, others }: Outline<StoredTotals>,
): Promise<void> {
  const missing = async () => {
    const found = (await dialect.columns(table)) ?? []
    return others.filter(({ name }) => !found.some(column => column.name === name))
  }
  const [first, ...rest] = await missing()
  if (!first) return
  const { schema } = dialect.kysely
  const type = (kind: ColumnKind) => sql.raw(dialect.type(kind))
  const zero = (column: ColumnDefinitionBuilder) => column.notNull().defaultTo(0)
  const alter = rest.reduce(
    (statement, { kind, name }) => statement.addColumn(name, type(kind), zero),
    schema.alterTable(table).addColumn(first.name, type(first.kind), zero),
  )
  try {
    await alter.execute()
  } catch (error) {
    // Another node may have added them meanwhile.
    if ((await missing()).length > 0) throw error
  }
}

/**
 * Makes the totals of a row match its counts. They differ in a row that a single node has written,
 * because it credits users without totals and does not change these columns.
 */
export function consistent(row: StoredTotals): StoredTotals {
  const base = (high: number, low: number, raw: number) => Math.max(low, high - raw, 0)
  return {
    ...createSessionTotals(),
    ...row,
    baseUp: Math.min(row.uploaded, base(row.uploaded, row.baseUp, row.rawUp)),
    baseDown: Math.min(row.downloaded, base(row.downloaded, row.baseDown, row.rawDown)),
  }
}

export type SharedTables = {
  readonly users: Shapes['users']
  /** Undefined if downloads of torrents are not stored. */
  readonly downloads: DownloadCounts | undefined
  readonly sessions: Outline<StoredTotals>
  readonly torrents: Outline<LedgerRow>
}

/** Writes a batch, and sets the numbers of its users to what it has added. */
export async function writeShared(
  { dialect, transact }: Store,
  tables: SharedTables,
  batch: Batch,
): Promise<number> {
  const { downloads, sessions, torrents, users } = tables
  const changes = batch.users.toSorted(byUser)
  return transact(async db => {
    const sums = await lockUsers(db, users, changes)
    const known = changes.filter(({ user }) => sums.has(user))
    const rows = known.flatMap(({ shared }) => [...(shared?.values() ?? [])])
    const stored = await readStored(db, sessions, rows)
    const written: StoredTotals[] = []
    const completed = new Map<string, number>()
    for (const change of changes) {
      const sum = sums.get(change.user)
      written.push(...join(change, sum ? stored : undefined, completed))
      change.stored = sum && {
        uploaded: bounded(sum.uploaded + change.uploaded),
        downloaded: bounded(sum.downloaded + change.downloaded),
        completed: sum.completed + change.completed,
      }
    }
    const grown = changes.filter(change => change.torrents.size > 0)
    const torrentRows = grown.flatMap(change => [...change.torrents.values()])
    await addToUsers(db, dialect, users, grown)
    await upsertChanges(db, dialect, torrents, torrentRows)
    await upsertChanges(db, dialect, sessions, written)
    if (downloads) await addDownloads(db, dialect, downloads, completed)
    return grown.length + torrentRows.length + written.length
  })
}

/** The order of ids in the database: decimal numbers, or UUIDs, which have one length. */
function byUser({ user: a }: UserChange, { user: b }: UserChange): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

/** Sessions of one query: each has three parameters and a condition of its own. */
const SESSIONS_PER_QUERY = 100

/** The stored rows of these sessions, by user, info hash and peer id. */
async function readStored(
  db: Kysely<Tables>,
  outline: Outline<StoredTotals>,
  sessions: readonly StoredTotals[],
): Promise<Map<string, StoredTotals>> {
  const { keys, others, table } = outline
  const found = new Map<string, StoredTotals>()
  for (const part of inParts(sessions, SESSIONS_PER_QUERY)) {
    const rows = await db
      .selectFrom(table)
      .select([...keys, ...others].map(({ name }) => name))
      .where(({ and, eb, or }) =>
        or(
          part.map(row =>
            and(keys.map(({ field, kind, name }) => eb(name, '=', encode(kind, row[field])))),
          ),
        ),
      )
      .execute()
    for (const row of rows) {
      const read = readRow(outline, row)
      if (read) found.set(nameOf(read), consistent(read))
    }
  }
  return found
}

function nameOf({ hash, peerId, user }: StoredTotals): string {
  return `${user} ${hash} ${peerId}`
}

/** Bytes that only two nodes together show are credited once a node knows the factors. */
const NO_RATIOS = { up: 0, down: 0 }

/**
 * Joins the sessions of a change with the stored ones, and sets the numbers that the change adds;
 * `completed` receives the downloads by info hash.
 * Returns the rows to write. Without `stored` the user does not exist, and nothing is added.
 */
function join(
  change: UserChange,
  stored: ReadonlyMap<string, StoredTotals> | undefined,
  completed: Map<string, number>,
): StoredTotals[] {
  const rows: StoredTotals[] = []
  change.uploaded = 0n
  change.downloaded = 0n
  change.completed = 0
  change.torrents.clear()
  for (const own of stored ? (change.shared?.values() ?? []) : []) {
    const before = stored?.get(nameOf(own)) ?? { ...own, ...createSessionTotals() }
    const isKnown = stored?.has(nameOf(own)) === true
    const joined: StoredTotals = { ...own, aheadUp: 0, aheadDown: 0 }
    if (isKnown) {
      joinSessions(joined, before, NO_RATIOS)
      // Otherwise no node could clear it.
      joined.state = (joined.state & ~GREW_TOO_FAST) | (own.state & GREW_TOO_FAST)
    }
    const growth = growthOf(joined, before)
    if (growth.completed > 0) {
      completed.set(own.hash, (completed.get(own.hash) ?? 0) + growth.completed)
    }
    if (isKnown && isSameSession(joined, before)) continue
    rows.push(joined)
    change.uploaded += growth.creditedUp
    change.downloaded += growth.creditedDown
    change.completed += growth.completed
    change.updated = Math.max(change.updated, joined.seen)
    const torrent = change.torrents.get(growth.hash)
    if (torrent) mergeTorrent(torrent, growth)
    else change.torrents.set(growth.hash, growth)
  }
  return rows
}

function growthOf(joined: StoredTotals, before: SessionTotals): LedgerRow {
  const more = (name: keyof SessionTotals) => Math.max(0, joined[name] - before[name])
  const completed = more('completed')
  return {
    user: joined.user,
    hash: joined.hash,
    uploaded: BigInt(more('rawUp')),
    downloaded: BigInt(more('rawDown')),
    creditedUp: BigInt(more('creditUp')),
    creditedDown: BigInt(more('creditDown')),
    idleUp: BigInt(more('idleUp')),
    seeding: more('seeding'),
    completed,
    left: joined.left,
    first: joined.first,
    last: joined.seen,
    completedAt: completed > 0 ? joined.seen : 0,
  }
}
