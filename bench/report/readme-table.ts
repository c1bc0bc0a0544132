import { median } from '../measure.ts'
import { METRICS, written } from '../metrics.ts'
import { BITTORRENT_TRACKER, OPENTRACKER, TORRUST_ACTIX } from '../rivals/rivals.ts'
import type { Row } from '../scenario.ts'
import { mergeResults, provenanceLines, type Results } from './results.ts'
import { markdownTable, valuesOf } from './table.ts'

const MUSTER = 'muster'
/** The column of a tracker and the prefix of its rows. */
const COLUMNS: readonly (readonly [title: string, prefix: string])[] = [
  [MUSTER, MUSTER],
  ['aquatic (Rust)', 'aquatic'],
  ['Torrust-Actix (Rust)', TORRUST_ACTIX],
  ['opentracker (C)', OPENTRACKER],
  ['bittorrent-tracker (npm)', BITTORRENT_TRACKER],
  ['a bare handler', 'bare'],
]
const ROWS = [
  ['UDP, a million peers in ten thousand torrents', 'udp-known', 'perCore'],
  ['UDP, the same peers while they are new', 'udp-fill', 'perCore'],
  ['HTTP, kept connections', 'http', 'perCore'],
  ['HTTP, a connection for each announce', 'connections', 'perCore'],
  ['HTTPS, kept connections', 'https', 'perCore'],
  ['MiB of memory, with the peers of the first line', 'udp-known', 'mib'],
] as const

function cellOf(rows: readonly Row[], prefix: string, metric: string): string {
  const row =
    rows.find(({ name }) => name === prefix) ?? rows.find(({ name }) => name.startsWith(prefix))
  const values = row ? valuesOf(row, metric) : []
  if (!row || values.length === 0) return ''
  const [, note] = prefix === MUSTER ? [] : row.name.split(', ')
  return `${written(metric, median(values))}${note ? ` (${note})` : ''}`
}

/** The Markdown lines of the merged results of these runs for the README. */
export function readmeTable(runs: readonly [Results, ...Results[]]): string[] {
  const results = mergeResults(runs)
  const scenarios = new Set(ROWS.map(([, scenario]) => scenario))
  const used = [...scenarios].filter(scenario => results.scenarios[scenario])
  const body = ROWS.flatMap(([what, scenario, metric]) => {
    const rows = results.scenarios[scenario]?.rows
    return rows ? [[what, ...COLUMNS.map(([, prefix]) => cellOf(rows, prefix, metric))]] : []
  })
  const head = [`${METRICS['perCore']?.title}`, ...COLUMNS.map(([title]) => title)]
  return [...markdownTable(head, body), '', ...provenanceLines(runs, used)]
}
