import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Database } from '../database/database.ts'
import { ExitStatus, OperatorError } from '../errors.ts'
import type { KeyFormat } from '../protocol/key.ts'
import { FORMAT } from './export.ts'
import {
  type AnyKind,
  type AnyRows,
  type Counts,
  faultOfRow,
  KINDS,
  LEDGER_KINDS,
  type LedgerKind,
  ledgerPartOf,
  noCounts,
  tableOf,
  toRow,
} from './rows.ts'

/** Rows that are saved together. */
const BATCH_ROWS = 10_000

export type ImportRow = {
  [K in AnyKind]: { readonly kind: K; readonly row: AnyRows[K] }
}[AnyKind]

const ALL_KINDS: readonly AnyKind[] = [...KINDS, ...LEDGER_KINDS]

/** Version of files without the ledger of users. */
const FIRST_VERSION = 1

/**
 * Saves rows of any kinds, in batches, and replaces existing ones. Returns the number of each kind.
 */
export async function importRows(
  database: Database,
  rows: AsyncIterable<ImportRow> | Iterable<ImportRow>,
  progress: (counts: Counts) => void,
): Promise<Counts> {
  const counts = noCounts()
  const batches = new Map<AnyKind, AnyRows[AnyKind][]>(ALL_KINDS.map(kind => [kind, []]))
  const save = async (kind: AnyKind) => {
    const batch = batches.get(kind) ?? []
    if (batch.length === 0) return
    await (isLedgerKind(kind) ? ledgerPartOf(database, kind) : tableOf(database, kind)).save(
      batch as never[],
    )
    counts[kind] += batch.length
    batches.set(kind, [])
    progress(counts)
  }
  for await (const { kind, row } of rows) {
    const batch = batches.get(kind)
    if (batch && batch.push(row) >= BATCH_ROWS) await save(kind)
  }
  for (const kind of ALL_KINDS) await save(kind)
  return counts
}

/**
 * Yields the rows of a muster export, from a file or from standard input for `-`. Throws an
 * OperatorError that names the line if it is not valid or ends early.
 */
export async function* readExport(file: string, format: KeyFormat): AsyncGenerator<ImportRow> {
  const counts = noCounts()
  let number = 0
  let ended = false
  const fail = (why: string) => new OperatorError(`${file}:${number}: ${why}`, ExitStatus.dataError)
  try {
    for await (const text of await linesOf(file)) {
      number++
      const line = parseLine(text)
      if (!line) throw fail('not a line of JSON')
      if (number === 1) {
        if (line['format'] !== FORMAT.format) throw fail('not an export of muster')
        const { version } = line
        if (version !== FORMAT.version && version !== FIRST_VERSION) {
          throw fail(`version ${String(version)}; this program reads 1 to ${FORMAT.version}`)
        }
        continue
      }
      const { kind, ...row } = line
      if (ended) throw fail('more lines follow the last one')
      if (kind === 'end') {
        ended = true
        for (const each of ALL_KINDS) {
          if ((row[each] ?? 0) !== counts[each]) throw fail(`${each} lines are missing or surplus`)
        }
        continue
      }
      if (!ALL_KINDS.includes(kind as AnyKind)) throw fail(`unknown kind ${JSON.stringify(kind)}`)
      const fault = faultOfRow(kind as AnyKind, row, format)
      if (fault !== undefined) throw fail(fault)
      counts[kind as AnyKind]++
      yield { kind, row: toRow(kind as AnyKind, row) } as ImportRow
    }
  } catch (error) {
    if (error instanceof OperatorError || !('code' in (error as Error))) throw error
    throw new OperatorError(`${file}: ${(error as Error).message}`, ExitStatus.dataError)
  }
  if (!ended) throw fail('the file ends early; import it again when it is complete')
}

function isLedgerKind(kind: AnyKind): kind is LedgerKind {
  return LEDGER_KINDS.includes(kind as LedgerKind)
}

async function linesOf(file: string): Promise<AsyncIterable<string>> {
  return file === '-' ? createInterface({ input: process.stdin }) : (await open(file)).readLines()
}

function parseLine(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
