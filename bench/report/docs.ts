import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { costModel } from './cost-model.ts'
import { loadCurveSvg } from './load-curve-svg.ts'
import { readmeTable } from './readme-table.ts'
import { mergeResults, provenance, provenanceLines, type Results } from './results.ts'
import { resultTable } from './table.ts'
import { targetTable } from './targets.ts'

export const PERFORMANCE = 'docs/performance.md'
export const LOAD_CURVE = 'docs/images/load-curve.svg'
export const README = 'README.md'

/** Replaces the block of `text` between its two comments. Throws if it does not exist. */
export function fillBlock(text: string, name: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) throw new Error(`there is no block ${begin} to fill`)
  return `${text.slice(0, from + begin.length)}\n\n${lines.join('\n').trim()}\n\n${text.slice(to)}`
}

function fillBlocks(file: string, blocks: Readonly<Record<string, readonly string[]>>): void {
  let text = readFileSync(file, 'utf8')
  for (const [name, lines] of Object.entries(blocks)) text = fillBlock(text, name, lines)
  writeFileSync(file, text)
}

/** Updates the blocks of README.md and docs/performance.md from the merged results of `runs`. */
export function fillDocs(runs: readonly [Results, ...Results[]]): void {
  const results = mergeResults(runs)
  fillBlocks(README, { numbers: readmeTable(runs) })
  fillBlocks(PERFORMANCE, {
    provenance: provenanceLines(runs),
    targets: targetTable(results).lines,
    'cost-model': costModel(results),
    tables: Object.values(results.scenarios).flatMap(resultTable),
  })
}

/** Draws the load curve if the results have one, and returns whether they do. */
export function drawLoadCurve(results: Results): boolean {
  const result = results.scenarios['load-curve']
  if (!result) return false
  mkdirSync(dirname(LOAD_CURVE), { recursive: true })
  writeFileSync(LOAD_CURVE, loadCurveSvg(result, provenance(results)))
  return true
}
