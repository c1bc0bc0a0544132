import { median } from '../measure.ts'
import { swarmsName } from '../micro/engine.ts'
import { ON_NODE } from '../rivals/muster.ts'
import {
  AQUATIC_HTTP,
  AQUATIC_UDP,
  BARE_UWS,
  BITTORRENT_TRACKER,
  OPENTRACKER,
  TORRUST_ACTIX,
} from '../rivals/rivals.ts'
import { ON_HUGE_PAGES } from '../scenarios/growth.ts'
import { NODES_TARGETS } from './nodes-targets.ts'
import type { Results } from './results.ts'
import { markdownTable, ratios, rowOf } from './table.ts'
import { middle, type Target, timesOf, worst } from './target.ts'

function engineAlone(torrents: number, peers: number, atLeast: number): Target {
  const name = swarmsName(torrents, peers)
  return {
    what: `The engine alone: announces/s per core, ${name}`,
    scenario: 'engine',
    measure: result => {
      const perCore = middle(rowOf(result, name), 'perCore')
      return perCore && perCore / 1e6
    },
    atLeast,
    unit: 'M',
    digits: 2,
  }
}

type Rivals = readonly (readonly [name: string, limit: number])[]

function udpTargets(what: string, scenario: string, rivals: Rivals): Target[] {
  return rivals.map(([name, atLeast]) => ({
    what: `${what}, against ${name}`,
    scenario,
    measure: result => timesOf(result, name, 'perCore'),
    atLeast,
    unit: '×',
    digits: 2,
  }))
}

function cpuTargets(what: string, scenario: string, rivals: Rivals): Target[] {
  return rivals.map(([name, atMost]) => ({
    what: `${what}, against ${name}`,
    scenario,
    measure: result => timesOf(result, name, 'cpuMicros'),
    atMost,
    unit: '×',
    digits: 2,
  }))
}

const TARGETS: readonly Target[] = [
  ...udpTargets('UDP requests/s per core, 10k torrents, 1M known peers, numwant 50', 'udp-known', [
    [AQUATIC_UDP, 1.25],
    [OPENTRACKER, 1.8],
    [TORRUST_ACTIX, 5],
    [BITTORRENT_TRACKER, 15],
  ]),
  ...udpTargets('The same while the peers are new', 'udp-fill', [
    [AQUATIC_UDP, 1],
    [OPENTRACKER, 1.25],
  ]),
  ...udpTargets('UDP requests/s per core, with the load generator of aquatic', 'udp-load-test', [
    [AQUATIC_UDP, 1.25],
  ]),
  ...cpuTargets('HTTP announces, kept connections: CPU of all processes', 'http', [
    [BARE_UWS, 1.5],
    [AQUATIC_HTTP, 0.4],
    [TORRUST_ACTIX, 0.6],
  ]),
  ...cpuTargets('HTTP announces, a connection each: CPU of all processes', 'connections', [
    [BARE_UWS, 1.15],
  ]),
  {
    what: 'HTTP announces, kept connections: CPU of all processes, node:http against uWebSockets.js',
    scenario: 'http',
    measure: result => timesOf(result, 'muster', 'cpuMicros', ON_NODE),
    atMost: 1.7,
    unit: '×',
    digits: 2,
  },
  engineAlone(1000, 10_000, 1.5),
  engineAlone(10_000, 1_000_000, 2),
  {
    what: 'Memory, all included, at 5M IPv4 peers in 1M torrents',
    scenario: 'memory',
    measure: result => middle(rowOf(result, 'full'), 'bytesPerPeer'),
    atMost: 80,
    unit: 'bytes per peer',
    digits: 1,
  },
  {
    what: 'ns per announce at 10M peers against 10k peers',
    scenario: 'growth',
    measure: ({ rows }) => {
      const [first, last] = [rows[0], rows.findLast(({ name }) => !name.endsWith(ON_HUGE_PAGES))]
      const values = first && last ? ratios(last, first, 'nanos') : []
      return values.length > 0 ? median(values) : undefined
    },
    atMost: 2.2,
    unit: '×',
    digits: 2,
  },
  {
    what: 'p99 of announces while 5M peers are swept, against without',
    scenario: 'sweep',
    measure: result => worst(result, 'p99Ratio'),
    atMost: 1.5,
    unit: '×',
    digits: 2,
  },
  {
    what: 'p99 of announces while a snapshot of 5M peers is written, against without',
    scenario: 'snapshot',
    measure: result => worst(result, 'p99Ratio', 'write of 5000000'),
    atMost: 1.5,
    unit: '×',
    digits: 2,
  },
  {
    what: 'Snapshot of 5M peers, in the background',
    scenario: 'snapshot',
    measure: result => worst(result, 'writeSeconds', 'write of 5000000'),
    atMost: 15,
    unit: 's',
    digits: 1,
  },
  {
    what: 'Restore of 5M peers, in the background',
    scenario: 'snapshot',
    measure: result => worst(result, 'restoreSeconds', 'restore of 5000000'),
    atMost: 15,
    unit: 's',
    digits: 1,
  },
  {
    what: 'Cold start to the first answer',
    scenario: 'start',
    measure: result => worst(result, 'firstAnswerMillis'),
    atMost: 1000,
    unit: 'ms',
    digits: 0,
  },
  {
    what: 'kill -9 of a worker under load: peers lost',
    scenario: 'kill',
    measure: result => worst(result, 'peersLost'),
    atMost: 0,
    unit: 'peers',
    digits: 0,
  },
  {
    what: 'The same: until it is replaced',
    scenario: 'kill',
    measure: result => worst(result, 'replacedMillis'),
    atMost: 1000,
    unit: 'ms',
    digits: 0,
  },
  {
    what: 'The same: requests that failed, of the connections that were open',
    scenario: 'kill',
    measure: ({ rows }) =>
      Math.max(
        ...rows.flatMap(({ runs }) =>
          runs.map(run => (run['failedRequests'] ?? 0) / (run['openConnections'] ?? 1)),
        ),
      ),
    atMost: 1,
    unit: '×',
    digits: 2,
  },
  ...NODES_TARGETS,
]

export type Verdict = { readonly cells: readonly string[]; readonly met: boolean | undefined }

function judge(target: Target, results: Results): Verdict {
  const { what, atLeast, atMost, unit, digits } = target
  const limit = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`
  const result = results.scenarios[target.scenario]
  const value = result && target.measure(result)
  if (value === undefined || !Number.isFinite(value))
    return { cells: [what, `${limit} ${unit}`, '', 'not measured'], met: undefined }
  const met = atLeast === undefined ? value <= (atMost ?? 0) : value >= atLeast
  const cells = [
    what,
    `${limit} ${unit}`,
    `${value.toFixed(digits)} ${unit}`,
    met ? 'met' : '**not met**',
  ]
  return { cells, met }
}

/** Markdown lines, and whether every measured target is met. */
export function targetTable(results: Results): { readonly lines: string[]; readonly met: boolean } {
  const verdicts = TARGETS.map(target => judge(target, results))
  const rows = verdicts.map(({ cells }) => [...cells])
  return {
    lines: markdownTable(['what', 'target', 'measured', ''], rows),
    met: verdicts.every(({ met }) => met !== false),
  }
}
