import t from 'tap'
import { comparison } from '../../bench/report/compare.ts'
import { costModel } from '../../bench/report/cost-model.ts'
import { fillBlock } from '../../bench/report/docs.ts'
import { loadCurveSvg } from '../../bench/report/load-curve-svg.ts'
import { readmeTable } from '../../bench/report/readme-table.ts'
import { mergeResults, type Results } from '../../bench/report/results.ts'
import { resultTable } from '../../bench/report/table.ts'
import { targetTable } from '../../bench/report/targets.ts'
import type { Result, Row } from '../../bench/scenario.ts'

function resultOf(rows: readonly Row[], base?: Result['base']): Result {
  return { title: 'A scenario', options: {}, rows, notes: [], ...(base && { base }) }
}

function rowOf(name: string, metric: string, ...values: number[]): Row {
  return { name, runs: values.map(value => ({ [metric]: value })) }
}

function resultsOf(scenarios: Results['scenarios']): Results {
  const on = { cpu: '2 × one', memoryGib: 4, kernel: '6', node: 'v20', commit: 'abc' }
  const plan = { size: 'full', runs: 3, seconds: 4 } as const
  return { on, begun: '2026-01-01T00:00:00.000Z', plan, scenarios, failures: {} }
}

t.test('a table has medians, spreads and ratios by round', async t => {
  // The third round is slow for both.
  const rows = [rowOf('muster', 'cpuMicros', 9, 10, 40), rowOf('bare', 'cpuMicros', 5, 5, 20)]
  const lines = resultTable(resultOf(rows, { name: 'bare', metric: 'cpuMicros' })).join('\n')
  t.match(lines, '| muster | 10.00 ± 155 % | 2.00 |')
  t.match(lines, '| bare | 5.00 ± 150 % | 1.00 |')
})

t.test('a comparison reports changes beyond noise and their direction', async t => {
  const compare = (metric: string, old: number[], now: number[]) =>
    comparison(
      resultsOf({ a: resultOf([rowOf('x', metric, ...old)]) }),
      resultsOf({ a: resultOf([rowOf('x', metric, ...now)]) }),
    ).join('\n')
  t.match(compare('cpuMicros', [10, 11, 12], [14, 15, 16]), /1\.36 \| \*\*worse\*\* \|/)
  t.match(compare('perSecond', [10, 11, 12], [14, 15, 16]), /1\.36 \| better \|/)
  t.match(compare('perSecond', [10, 11, 15], [14, 15, 16]), /1\.36 \| {2}\|/, 'they overlap')
  t.match(compare('perSecond', [10], [20]), /no verdict/)
})

t.test('targets are met, not met, or not measured', async t => {
  const udp = resultOf([
    rowOf('muster', 'perCore', 190, 190),
    rowOf('opentracker', 'perCore', 100, 100),
  ])
  const kill = resultOf([{ name: 'muster', runs: [{ peersLost: 1, replacedMillis: 300 }] }])
  const { lines, met } = targetTable(resultsOf({ 'udp-known': udp, kill }))
  t.match(lines.join('\n'), 'opentracker | ≥ 1.8 × | 1.90 × | met |')
  t.match(lines.join('\n'), 'peers lost | ≤ 0 peers | 1 peers | **not met** |')
  t.match(lines.join('\n'), '| ≤ 80 bytes per peer |  | not measured |')
  t.equal(met, false)
})

t.test('the cost model needs its parts, and scales with cores', async t => {
  t.match(costModel(resultsOf({})).join(), 'lack a part')
  const lines = costModel(
    resultsOf({
      workers: resultOf([{ name: '2 workers', runs: [{ workerMicros: 9, primaryMicros: 3 }] }]),
      'udp-known': resultOf([rowOf('muster', 'cpuMicros', 5)]),
      engine: resultOf([rowOf('10000 torrents, 1000000 peers', 'nanos', 600)]),
    }),
  ).join('\n')
  t.match(lines, '| 16 | 4 + 12 | 1333k | 2400 M | 3200k |')
})

t.test('the load curve has a point for each rate', async t => {
  const rows = [100, 1000].map(offered => ({
    name: `${offered}`,
    runs: [{ offered, p50: 0.1, p99: offered / 1000, recordsPerFrame: 1 + offered / 100 }],
  }))
  const svg = loadCurveSvg(resultOf(rows), 'where and when')
  t.equal(svg.match(/<circle /g)?.length, 6)
  t.notMatch(svg, /NaN|Infinity/)
})

t.test('updates a block repeatedly, and reports a missing one', async t => {
  const text = 'before <!-- bench:x -->old<!-- /bench:x --> after'
  const once = fillBlock(text, 'x', ['new'])
  t.match(once, /^before <!-- bench:x -->\n\nnew\n\n<!-- \/bench:x --> after$/)
  t.equal(fillBlock(once, 'x', ['new']), once)
  t.throws(() => fillBlock(text, 'y', []), /bench:y/)
})

t.test(
  'the table of the README has a column for each tracker, and no line that was not measured',
  async t => {
    const udp = resultOf([
      rowOf('muster, 2 threads', 'perCore', 5),
      rowOf('muster', 'perCore', 200_000, 180_000, 190_000),
      rowOf('opentracker', 'perCore', 100_000),
      rowOf('bittorrent-tracker, 50,000 peers', 'perCore', 6000),
    ])
    const [head, , ...lines] = readmeTable([resultsOf({ 'udp-known': udp })])
    t.equal(
      head,
      '| requests/s per core | muster | aquatic (Rust) | Torrust-Actix (Rust) | opentracker (C) | bittorrent-tracker (npm) | a bare handler |',
    )
    t.match(
      lines[0],
      /^\| UDP.* \| 190000 \| {2}\| {2}\| 100000 \| 6000 \(50,000 peers\) \| {2}\|$/,
    )
    t.notMatch(lines.join(), /HTTP/)
  },
)

t.test('of several runs, each scenario is the last one, and its run is named', async t => {
  const udp = (perCore: number) => resultOf([rowOf('muster', 'perCore', perCore)])
  const first = resultsOf({ 'udp-known': udp(1000), 'udp-fill': udp(2000), engine: udp(1) })
  const last = { ...resultsOf({ 'udp-fill': udp(3000) }), begun: '2026-01-02T00:00:00.000Z' }
  t.match(mergeResults([first, last]).scenarios, { 'udp-known': udp(1000), 'udp-fill': udp(3000) })
  const lines = readmeTable([first, last])
  t.match(lines[2], '| 1000 |')
  t.match(lines[3], '| 3000 |')
  t.match(lines.slice(-2), [/^- `udp-known`: .* 2026-01-01; /, /^- `udp-fill`: .* 2026-01-02; /])
  t.same(readmeTable([last, first]).slice(-1), readmeTable([first]).slice(-1))
})
