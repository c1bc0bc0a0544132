import { median } from '../measure.ts'
import type { Row } from '../scenario.ts'
import {
  ALONE,
  BOTH,
  BOTH_WITHOUT_LEASES,
  HTTP,
  LONELY,
  ONE_OF_TWO,
  UDP,
} from '../scenarios/nodes/throughput.ts'
import { ADMIN, JOIN, KILL, LAG, OUTAGE } from '../scenarios/nodes.ts'
import { ratios, rowOf } from './table.ts'
import { middle, type Target } from './target.ts'

type Bounds = Pick<Target, 'atLeast' | 'atMost' | 'unit' | 'digits'>

function nodesTarget(what: string, row: string, metric: string, bounds: Bounds): Target {
  return {
    what: `Several nodes: ${what}`,
    scenario: 'nodes',
    measure: result => middle(rowOf(result, row), metric),
    ...bounds,
  }
}

/** The CPU time of a part of an announce, against an announce to one tracker. */
function partTarget(what: string, metric: string, atMost: number): Target {
  return {
    what: `Several nodes: ${what}, against a UDP announce to one tracker`,
    scenario: 'nodes',
    measure(result) {
      const alone = rowOf(result, UDP + ALONE)
      const row = rowOf(result, UDP + ONE_OF_TWO)
      if (!alone || !row) return undefined
      const part: Row = {
        name: metric,
        runs: row.runs.map(run => ({ cpuMicros: run[metric] ?? Number.NaN })),
      }
      return median(ratios(part, alone, 'cpuMicros'))
    },
    atMost,
    unit: '×',
    digits: 3,
  }
}

const times = (atLeast: number): Bounds => ({ atLeast, unit: '×', digits: 2 })
const atMost = (most: number, unit: string, digits: number): Bounds => ({
  atMost: most,
  unit,
  digits,
})

export const NODES_TARGETS: readonly Target[] = [
  nodesTarget(
    'UDP announces/s per core with [nodes] and no other node, against without [nodes]',
    UDP + LONELY,
    'timesAlone',
    times(0.97),
  ),
  nodesTarget(
    'UDP announces/s of two nodes with a core each, half to each, against one tracker',
    UDP + BOTH,
    'timesAlone',
    times(1.6),
  ),
  nodesTarget('the same without leases', UDP + BOTH_WITHOUT_LEASES, 'timesAlone', times(1.2)),
  partTarget('CPU of the receiving node per delta', 'deltaMicros', 0.22),
  partTarget('CPU of nats-server per delta', 'natsMicros', 0.05),
  nodesTarget(
    'HTTP announces/s with a connection each, half to each of two nodes, against one tracker',
    HTTP + BOTH,
    'timesAlone',
    times(1.9),
  ),
  nodesTarget('lag p50, at a quarter of a core of load', LAG, 'p50', atMost(30, 'ms', 1)),
  nodesTarget('lag p99, at a quarter of a core of load', LAG, 'p99', atMost(150, 'ms', 1)),
  nodesTarget(
    'announces that failed while no NATS server ran',
    OUTAGE,
    'failedRequests',
    atMost(0, 'announces', 0),
  ),
  nodesTarget(
    'p99 of announces meanwhile, against before',
    OUTAGE,
    'p99Ratio',
    atMost(1.2, '×', 2),
  ),
  nodesTarget(
    'until both nodes have the same swarms afterwards',
    OUTAGE,
    'equalSeconds',
    atMost(10, 's', 1),
  ),
  nodesTarget(
    'kill -9 of a node at 20,000 announces/s: announces that the other node lacks',
    KILL,
    'lostSeconds',
    atMost(0.1, 's', 3),
  ),
  nodesTarget('join at 5M peers, until /ready', JOIN, 'joinSeconds', atMost(15, 's', 1)),
  nodesTarget(
    'p99 of the giving node meanwhile, against before',
    JOIN,
    'p99Ratio',
    atMost(2, '×', 2),
  ),
  nodesTarget('an administrative change on all nodes, p99', ADMIN, 'p99', atMost(100, 'ms', 1)),
]
