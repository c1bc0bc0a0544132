import { median, spread } from '../measure.ts'
import { METRICS, written } from '../metrics.ts'
import type { Result, Row } from '../scenario.ts'

/** All runs' values of a number; empty when the row does not have it. */
export function valuesOf(row: Row, metric: string): number[] {
  return row.runs.map(run => run[metric] ?? Number.NaN).filter(Number.isFinite)
}

/**
 * How a number of a row compares with the same of another, round by round, so that what slowed a whole round down falls out.
 */
export function ratios(row: Row, base: Row, metric: string): number[] {
  return row.runs
    .map((run, round) => (run[metric] ?? Number.NaN) / (base.runs[round]?.[metric] ?? Number.NaN))
    .filter(Number.isFinite)
}

export function rowOf(result: Result | undefined, name: string): Row | undefined {
  return result?.rows.find(row => row.name === name)
}

/** A number with how far its runs lie apart, as `12.3 ± 4 %`. */
function cell(metric: string, values: readonly number[]): string {
  if (values.length === 0) return ''
  const apart = spread(values)
  const text = written(metric, median(values))
  return apart > 0 ? `${text} ± ${(apart * 100).toFixed(0)} %` : text
}

/** Lines of a Markdown table. */
export function markdownTable(head: readonly string[], rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)]
}

/** Lines of Markdown: the title, the table of medians, notes. */
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
