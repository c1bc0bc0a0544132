import type { Kysely } from 'kysely'
import { encode } from './columns.ts'
import type { Dialect, Tables } from './dialect.ts'
import type { TorrentRow } from './rows.ts'
import type { Shapes } from './shapes.ts'
import { decodeRow, selectRows, update, upsert } from './statements.ts'

/** Where the downloads of users' sessions are counted. */
export type DownloadCounts = {
  readonly shape: Shapes['torrents']
  /** Rows of torrents that the database does not have are added. */
  readonly insertVacant: boolean
}

/**
 * Adds downloads, by info hash, to the rows of torrents. In the transaction that writes the users'
 * sessions, each download is counted once, whichever nodes write it and whenever they fail.
 */
export async function addDownloads(
  db: Kysely<Tables>,
  dialect: Dialect,
  { insertVacant, shape }: DownloadCounts,
  downloads: ReadonlyMap<string, number>,
): Promise<void> {
  if (downloads.size === 0) return
  const { others, primary } = shape
  // All writers of the table lock its rows in this order.
  const rows = [...downloads]
    .map(([hash, completed]): TorrentRow => ({ hash, seeds: 0, peers: 0, completed }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
  const keys = rows.map(({ hash }) => encode(primary.kind, hash))
  const found = insertVacant ? await selectRows(db, shape, keys) : []
  const stored = new Set(found.map(row => decodeRow(shape, row)?.hash))
  const isStored = ({ hash }: TorrentRow) => !insertVacant || stored.has(hash)
  const columns = others
    .filter(({ field }) => field === 'completed')
    .map(column => ({ ...column, isSummed: true }))
  const changes = rows.filter(isStored).map(row => [encode(primary.kind, row.hash), row] as const)
  await update(db, dialect, shape, columns, changes)
  const vacant = rows.filter(row => !isStored(row))
  await upsert(db, dialect, shape, vacant, 'completed')
}
