import { median } from '../measure.ts'
import type { Result, Row } from '../scenario.ts'
import { ratios, rowOf, valuesOf } from './table.ts'

/** One row of the table of targets. */
export type Target = {
  readonly what: string
  /** Returns the measured number, or undefined if this run does not have it. */
  measure(result: Result): number | undefined
  readonly scenario: string
  readonly atLeast?: number
  readonly atMost?: number
  readonly unit: string
  readonly digits: number
}

/** The median of a number of a row. */
export function middle(row: Row | undefined, metric: string): number | undefined {
  const values = row ? valuesOf(row, metric) : []
  return values.length > 0 ? median(values) : undefined
}

/** The median ratio, over the rounds, of muster's number to another's. */
export function timesOf(
  result: Result,
  name: string,
  metric: string,
  of = 'muster',
): number | undefined {
  const own = rowOf(result, of)
  const other = result.rows.find(row => row.name.startsWith(name))
  const values = own && other ? ratios(own, other, metric) : []
  return values.length > 0 ? median(values) : undefined
}

/** The worst median of a number over the rows with this prefix. */
export function worst(result: Result, metric: string, prefix = ''): number | undefined {
  const values = result.rows
    .filter(({ name }) => name.startsWith(prefix))
    .flatMap(row => middle(row, metric) ?? [])
  return values.length > 0 ? Math.max(...values) : undefined
}
