import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { costModel } from './cost-model.ts'
import { loadCurveSvg } from './load-curve-svg.ts'
import { provenance, type Results } from './results.ts'
import { resultTable } from './table.ts'
import { targetTable } from './targets.ts'

export const PERFORMANCE = 'docs/performance.md'
export const LOAD_CURVE = 'docs/images/load-curve.svg'
/** What the README shows: a person's first questions. */
const README_SCENARIOS = ['http', 'connections', 'udp'] as const

/** Puts `lines` between the two comments that name a block of `text`. Throws where there is no such block. */
export function fillBlock(text: string, name: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`there is no block ${begin} to fill`)
  return `${text.slice(0, from + begin.length)}\n\n${lines.join('\n').trim()}\n\n${text.slice(to)}`
}

/** The README's tables. */
export function readmeTables(results: Results): string[] {
  const tables = README_SCENARIOS.flatMap(name => {
    const result = results.scenarios[name]
    return result ? resultTable(result) : []
  })
  return [`${provenance(results)}. Medians, and how far runs lie apart.`, '', ...tables]
}

/** Fills the blocks of docs/performance.md with these results. */
export function fillPerformance(results: Results): void {
  const blocks: Record<string, string[]> = {
    provenance: [`${provenance(results)}.`],
    targets: targetTable(results).lines,
    'cost-model': costModel(results),
    tables: Object.values(results.scenarios).flatMap(resultTable),
  }
  let text = readFileSync(PERFORMANCE, 'utf8')
  for (const [name, lines] of Object.entries(blocks)) text = fillBlock(text, name, lines)
  writeFileSync(PERFORMANCE, text)
}

/** Draws the load curve, where these results have it, and returns whether they do. */
export function drawLoadCurve(results: Results): boolean {
  const result = results.scenarios['load-curve']
  if (!result) return false
  mkdirSync(dirname(LOAD_CURVE), { recursive: true })
  writeFileSync(LOAD_CURVE, loadCurveSvg(result, provenance(results)))
  return true
}
