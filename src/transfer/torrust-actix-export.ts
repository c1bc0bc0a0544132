import { createHash } from 'node:crypto'
import type { Database } from '../database/database.ts'
import { lifetimeOf, unixSeconds } from '../database/key-times.ts'
import type { UserRow } from '../database/rows.ts'
import type { Table } from '../database/table.ts'
import { exactJson } from '../json.ts'
import {
  type Counts,
  KINDS,
  type Kind,
  noCounts,
  type Rows,
  type TorrustActixFiles,
  tableOf,
} from './rows.ts'
import { writeFileWhole } from './write-file.ts'

/**
 * Writes the database to the files that Torrust-Actix's --import reads: lists of info hashes, and
 * maps from a hash to its values. A key has a lifetime, because Torrust-Actix stores the number as
 * it is and adds it to the time at which it loads the key. Memory use does not depend on the number
 * of rows.
 */
export async function exportTorrustActix(
  database: Database,
  files: TorrustActixFiles,
  progress: (counts: Counts) => void,
): Promise<Counts> {
  const counts = noCounts()
  for (const kind of KINDS) {
    await writeFileWhole(
      files[kind],
      jsonOf(kind, tableOf(database, kind), rows => {
        counts[kind] += rows
        progress(counts)
      }),
    )
  }
  return counts
}

async function* jsonOf<K extends Kind>(
  kind: K,
  table: Table<Rows[K]>,
  written: (rows: number) => void,
): AsyncGenerator<string> {
  const isList = kind === 'whitelist' || kind === 'blacklist'
  let separator = isList ? '[' : '{'
  for await (const rows of table.load()) {
    yield `${separator}${rows.map(row => entryOf(row)).join(',')}`
    separator = ','
    written(rows.length)
  }
  const end = isList ? ']' : '}'
  yield separator === ',' ? end : `${separator}${end}`
}

/** One entry of the file of a table: `"hash"` or `"hash":value`. */
function entryOf(row: Rows[Kind]): string {
  if ('timeout' in row) return `"${row.hash}":${lifetimeOf(row.timeout, unixSeconds())}`
  if ('id' in row) return userEntry(row)
  return 'completed' in row ? `"${row.hash}":{"completed":${row.completed}}` : `"${row.hash}"`
}

/** Torrust-Actix finds a user by the SHA-1 of its id. */
function userEntry({ id, active, ...user }: UserRow): string {
  const isNumber = /^\d+$/.test(id)
  const value = {
    key: user.key,
    user_id: isNumber ? Number(id) : null,
    user_uuid: isNumber ? null : id,
    uploaded: user.uploaded,
    downloaded: user.downloaded,
    completed: user.completed,
    updated: user.updated,
    active: active ? 1 : 0,
    torrents_active: {},
  }
  return `"${createHash('sha1').update(id).digest('hex')}":${exactJson(value)}`
}
