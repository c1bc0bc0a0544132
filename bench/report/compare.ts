import { median, spread } from '../measure.ts'
import { METRICS, written } from '../metrics.ts'
import type { Result, Row } from '../scenario.ts'
import { provenance, type Results } from './results.ts'
import { markdownTable, rowOf, valuesOf } from './table.ts'

/** A smaller difference counts as noise, even if the runs agree. */
const NOISE_MIN = 0.03

/** The change of one number of a row. */
function compareMetric(before: Row, after: Row, name: string): string[] | undefined {
  const [old, now] = [valuesOf(before, name), valuesOf(after, name)]
  const metric = METRICS[name]
  if (!metric || metric.better === 'neither' || old.length === 0 || now.length === 0)
    return undefined
  const ratio = median(now) / median(old)
  if (!Number.isFinite(ratio)) return undefined
  const percent = (share: number) => `± ${(share * 100).toFixed(0)} %`
  return [
    before.name,
    metric.title,
    `${written(name, median(old))} ${percent(spread(old))}`,
    `${written(name, median(now))} ${percent(spread(now))}`,
    ratio.toFixed(2),
    verdict(old, now, ratio, metric.better),
  ]
}

/** A change is beyond noise if the ranges of both results do not overlap, by a margin. */
function verdict(
  old: readonly number[],
  now: readonly number[],
  ratio: number,
  better: 'more' | 'less',
): string {
  const apart = Math.min(...now) > Math.max(...old) || Math.max(...now) < Math.min(...old)
  const enough = old.length > 1 && now.length > 1
  if (!enough) return 'one run each: no verdict'
  if (!apart || Math.abs(ratio - 1) < NOISE_MIN) return ''
  return ratio > 1 === (better === 'more') ? 'better' : '**worse**'
}

function compareScenario(before: Result, after: Result): string[] {
  const rows = before.rows.flatMap(row => {
    const other = rowOf(after, row.name)
    if (!other) return []
    return Object.keys(METRICS).flatMap(metric => {
      const cells = compareMetric(row, other, metric)
      return cells ? [cells] : []
    })
  })
  const head = ['', '', 'before', 'after', 'after / before', 'beyond noise']
  return [`### ${before.title}`, '', ...markdownTable(head, rows), '']
}

/** Markdown lines with the change of every common number, and whether it is beyond noise. */
export function comparison(before: Results, after: Results): string[] {
  return [
    `Before: ${provenance(before)}`,
    '',
    `After: ${provenance(after)}`,
    '',
    ...Object.entries(before.scenarios).flatMap(([name, result]) => {
      const other = after.scenarios[name]
      return other ? compareScenario(result, other) : []
    }),
  ]
}
