import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/open.ts'
import type { KeyFormat } from '../protocol/key.ts'
import { exportAll } from './export.ts'
import { importRows, readExport } from './import.ts'
import type { Counts, TorrustActixFiles } from './rows.ts'
import { readTorrustActix } from './torrust-actix.ts'
import { exportTorrustActix } from './torrust-actix-export.ts'

export type TransferCommand =
  | { readonly does: 'create-database' }
  | { readonly does: 'export' | 'import'; readonly path: string }
  | {
      readonly does: 'export-torrust-actix' | 'import-torrust-actix'
      readonly files: TorrustActixFiles
    }

/**
 * Runs a command on the configured database. Reports progress on a terminal, and the row counts at
 * the end.
 */
export async function transfer(command: TransferCommand, config: Config): Promise<void> {
  const database = await openDatabase(
    config.database,
    config.database_structure,
    config.tracker_config.key_format,
  )
  try {
    if (!command.does.startsWith('export')) await database.createTables()
    await database.checkTables()
    const counts = await run(command, database, config.tracker_config.key_format)
    report(counts ? summaryOf(counts) : 'the tables exist', '\n')
  } finally {
    await database.close()
  }
}

async function run(
  command: TransferCommand,
  database: Database,
  format: KeyFormat,
): Promise<Counts | undefined> {
  const progress = (counts: Counts) => {
    if (process.stderr.isTTY) report(summaryOf(counts), '\r')
  }
  switch (command.does) {
    case 'create-database':
      return undefined
    case 'export':
      return exportAll(database, command.path, progress)
    case 'import':
      return importRows(database, readExport(command.path, format), progress)
    case 'import-torrust-actix':
      return importRows(database, readTorrustActix(command.files, format), progress)
    case 'export-torrust-actix':
      return exportTorrustActix(database, command.files, progress)
  }
}

function summaryOf({ torrent, whitelist, blacklist, key, user }: Counts): string {
  return `${torrent} torrents, ${whitelist} on the whitelist, ${blacklist} on the blacklist, ${key} keys, ${user} users`
}

/** To standard error: an export may go to standard output. */
function report(text: string, end: string): void {
  process.stderr.write(`${text}${end}`)
}
