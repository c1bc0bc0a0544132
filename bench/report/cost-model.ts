import { zipfRank } from '../load/mix.ts'
import { median } from '../measure.ts'
import { swarmsName } from '../micro/engine.ts'
import { workersName } from '../scenarios/workers.ts'
import type { Results } from './results.ts'
import { markdownTable, rowOf, valuesOf } from './table.ts'

const CORES = [2, 4, 16, 64] as const
const TORRENTS = 10_000
/** Default seconds between announces of a client. */
const INTERVAL = 1800
const SAMPLES = 200_000

/** Measured processor time of an announce in microseconds, except for the last member. */
type Parts = {
  readonly worker: number
  readonly engine: number
  readonly udp: number
  /** Time in the tables, most of it under a stripe's lock. */
  readonly tables: number
  /** Probability of two announces for the same torrent. */
  readonly same: number
}

function partsOf({ scenarios }: Results): Parts | undefined {
  const middle = (scenario: string, row: string, metric: string) => {
    const found = rowOf(scenarios[scenario], row)
    return found ? median(valuesOf(found, metric)) : Number.NaN
  }
  const parts: Parts = {
    worker: middle('workers', workersName(2), 'workerMicros'),
    engine: middle('workers', workersName(2), 'primaryMicros'),
    udp: middle('udp-known', 'muster', 'cpuMicros'),
    tables: middle('engine', swarmsName(TORRENTS, 1_000_000), 'nanos') / 1000,
    same: sameTorrent(),
  }
  return Object.values(parts).every(Number.isFinite) ? parts : undefined
}

/** The sum of the squared shares of all torrents in the mix. */
function sameTorrent(): number {
  const counts = new Float64Array(TORRENTS)
  for (let n = 0; n < SAMPLES; n++) {
    const rank = zipfRank((n + 0.5) / SAMPLES, TORRENTS)
    counts[rank] = (counts[rank] ?? 0) + 1
  }
  return counts.reduce((sum, count) => sum + (count / SAMPLES) ** 2, 0)
}

/** The best count of engine threads for HTTP on `cores` cores, and the announces per second. */
function bestSplit(
  { worker, engine }: Parts,
  cores: number,
): { engines: number; perSecond: number } {
  let best = { engines: 1, perSecond: 0 }
  for (let engines = 1; engines < cores; engines++) {
    const perSecond = 1e6 * Math.min((cores - engines) / worker, engines / engine)
    if (perSecond > best.perSecond) best = { engines, perSecond }
  }
  return best
}

/** Lock waits per announce: another thread is in the tables for the same torrent. */
function waits({ tables, udp, same }: Parts, threads: number): number {
  return (threads - 1) * (tables / udp) * same
}

/** Markdown lines with the measured parts and the arithmetic for larger machines. */
export function costModel(results: Results): string[] {
  const parts = partsOf(results)
  if (!parts) return ['These results lack a part: the scenarios `workers`, `udp` and `engine`.']
  const { worker, engine, udp, tables, same } = parts
  const rows = CORES.map(cores => {
    const { engines, perSecond } = bestSplit(parts, cores)
    const thousands = (value: number) => `${Math.round(value / 1000)}k`
    return [
      String(cores),
      `${engines} + ${cores - engines}`,
      thousands(perSecond),
      `${Math.round((perSecond * INTERVAL) / 1e6)} M`,
      thousands((1e6 * cores) / udp),
      `${(waits(parts, cores) * 100).toFixed(1)} %`,
    ]
  })
  return [
    ...markdownTable(
      ['part', 'from', 'measured'],
      [
        ['w: an HTTP announce in a worker', '`workers`, 2 workers', `${worker.toFixed(2)} µs`],
        ['e: the same in the primary', '`workers`, 2 workers', `${engine.toFixed(2)} µs`],
        ['u: a UDP announce, all of it', '`udp`', `${udp.toFixed(2)} µs`],
        ['t: an announce in the tables', '`engine`, 1M peers', `${tables.toFixed(2)} µs`],
        ['s: two announces are for one torrent', 'the mix, 10k torrents', same.toFixed(5)],
      ],
    ),
    '',
    ...markdownTable(
      ['cores', 'engine threads + workers', 'HTTP/s', 'clients', 'UDP/s', 'lock waits'],
      rows,
    ),
  ]
}
