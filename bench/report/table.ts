import { median, spread } from '../measure.ts'
import { METRICS, written } from '../metrics.ts'
import type { Result, Row } from '../scenario.ts'

/** The values of a number in all runs, or none if the row does not have it. */
export function valuesOf(row: Row, metric: string): number[] {
  return row.runs.map(run => run[metric] ?? Number.NaN).filter(Number.isFinite)
}

/**
 * The ratio of a number of two rows, round by round, so that noise of a whole round cancels out.
 */
export function ratios(row: Row, base: Row, metric: string): number[] {
  return row.runs
    .map((run, round) => (run[metric] ?? Number.NaN) / (base.runs[round]?.[metric] ?? Number.NaN))
    .filter(Number.isFinite)
}

export function rowOf(result: Result | undefined, name: string): Row | undefined {
  return result?.rows.find(row => row.name === name)
}

/** Formats a number with its spread, such as `12.3 ± 4 %`. */
function cell(metric: string, values: readonly number[]): string {
  if (values.length === 0) return ''
  const apart = spread(values)
  const text = written(metric, median(values))
  return apart > 0 ? `${text} ± ${(apart * 100).toFixed(0)} %` : text
}

/** Formats a Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)]
}

/** Formats the title, the table of medians and the notes as Markdown lines. */
export function resultTable({ title, base, rows, notes }: Result): string[] {
  const measured = new Set(rows.flatMap(({ runs }) => runs.flatMap(run => Object.keys(run))))
  const metrics = Object.keys(METRICS).filter(name => measured.has(name))
  const baseRow = rows.find(({ name }) => name === base?.name)
  const body = rows.map(row => [
    row.name,
    ...metrics.map(metric => cell(metric, valuesOf(row, metric))),
    ...(base && baseRow ? [median(ratios(row, baseRow, base.metric)).toFixed(2)] : []),
  ])
  const head = ['', ...metrics.map(metric => METRICS[metric]?.title ?? metric)]
  if (base && baseRow) head.push(`${METRICS[base.metric]?.title} × ${base.name}`)
  return [`### ${title}`, '', ...markdownTable(head, body), '', ...notes.flatMap(n => [n, ''])]
}
