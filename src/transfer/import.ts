import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Database } from '../database/database.ts'
import { ExitStatus, OperatorError } from '../errors.ts'
import { FORMAT } from './export.ts'
import {
  type Counts,
  faultOfRow,
  KINDS,
  type Kind,
  noCounts,
  type Rows,
  tableOf,
  toRow,
} from './rows.ts'

/** Rows that are saved together. */
const BATCH_ROWS = 10_000

export type ImportRow = { [K in Kind]: { readonly kind: K; readonly row: Rows[K] } }[Kind]

/**
 * Saves rows of any kinds, in batches, and replaces existing ones. Returns the number of each kind.
 */
export async function importRows(
  database: Database,
  rows: AsyncIterable<ImportRow> | Iterable<ImportRow>,
  progress: (counts: Counts) => void,
): Promise<Counts> {
  const counts = noCounts()
  const batches = new Map<Kind, Rows[Kind][]>(KINDS.map(kind => [kind, []]))
  const save = async (kind: Kind) => {
    const batch = batches.get(kind) ?? []
    await tableOf(database, kind).save(batch as never[])
    counts[kind] += batch.length
    batches.set(kind, [])
    progress(counts)
  }
  for await (const { kind, row } of rows) {
    const batch = batches.get(kind)
    if (batch && batch.push(row) >= BATCH_ROWS) await save(kind)
  }
  for (const kind of KINDS) await save(kind)
  return counts
}

/**
 * Yields the rows of a muster export, from a file or from standard input for `-`. Throws an
 * OperatorError that names the line if it is not valid or ends early.
 */
export async function* readExport(file: string): AsyncGenerator<ImportRow> {
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
        if (line['version'] !== FORMAT.version) {
          throw fail(`version ${String(line['version'])}; this program reads ${FORMAT.version}`)
        }
        continue
      }
      const { kind, ...row } = line
      if (ended) throw fail('more lines follow the last one')
      if (kind === 'end') {
        ended = true
        for (const each of KINDS) {
          if (row[each] !== counts[each]) throw fail(`${each} lines are missing or surplus`)
        }
        continue
      }
      if (!KINDS.includes(kind as Kind)) throw fail(`unknown kind ${JSON.stringify(kind)}`)
      const fault = faultOfRow(kind as Kind, row)
      if (fault !== undefined) throw fail(fault)
      counts[kind as Kind]++
      yield { kind, row: toRow(kind as Kind, row) } as ImportRow
    }
  } catch (error) {
    if (error instanceof OperatorError || !('code' in (error as Error))) throw error
    throw new OperatorError(`${file}: ${(error as Error).message}`, ExitStatus.dataError)
  }
  if (!ended) throw fail('the file ends early; import it again when it is complete')
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
