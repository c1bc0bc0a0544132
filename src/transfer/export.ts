import { once } from 'node:events'
import type { Database } from '../database/database.ts'
import {
  type Counts,
  KINDS,
  LEDGER_KINDS,
  ledgerPartOf,
  noCounts,
  rowText,
  tableOf,
} from './rows.ts'
import { writeFileWhole } from './write-file.ts'

/** First line of an export; the last one has the counts. */
export const FORMAT = { format: 'muster export', version: 2 } as const

/**
 * Writes the whole database to `file`, one row per line as JSON, or to standard output for `-`. The
 * file appears when it is complete, and only its owner can read it, because it contains keys.
 * Memory use does not depend on the number of rows.
 */
export async function exportAll(
  database: Database,
  file: string,
  progress: (counts: Counts) => void,
): Promise<Counts> {
  const counts = noCounts()
  const lines = exportLines(database, counts, progress)
  if (file === '-') {
    for await (const text of lines) {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain')
    }
    return counts
  }
  await writeFileWhole(file, lines)
  return counts
}

async function* exportLines(
  database: Database,
  counts: Counts,
  progress: (counts: Counts) => void,
): AsyncGenerator<string> {
  yield `${JSON.stringify(FORMAT)}\n`
  for (const kind of KINDS) {
    for await (const rows of tableOf(database, kind).load()) {
      counts[kind] += rows.length
      progress(counts)
      yield rows.map(row => `${rowText(kind, row)}\n`).join('')
    }
  }
  if (await database.ledger.parts.exist()) {
    for (const kind of LEDGER_KINDS) {
      for await (const rows of ledgerPartOf(database, kind).load()) {
        counts[kind] += rows.length
        progress(counts)
        yield rows.map(row => `${rowText(kind, row)}\n`).join('')
      }
    }
  }
  yield `${JSON.stringify({ kind: 'end', ...counts })}\n`
}
