import { median } from '../measure.ts'
import { NatsServer } from '../rivals/nats.ts'
import { NATS_ABSENT } from '../rivals/nats-program.ts'
import { bySize, createRows, type Plan, type Rows, type Run, type Scenario } from '../scenario.ts'
import type { BenchNode } from './nodes/cluster.ts'
import { joinPeers, measureJoin } from './nodes/join.ts'
import { measureKill } from './nodes/kill.ts'
import { measureAdminChanges, measureLag } from './nodes/lag.ts'
import { measureOutage } from './nodes/outage.ts'
import { ALONE, measureThroughput, nodesMix, startTrackers, UDP } from './nodes/throughput.ts'

/** Names of the other rows. */
export const LAG = 'lag: a peer of one node in answers of another'
export const ADMIN = 'change through the API of one node, seen on another'
export const OUTAGE = 'all NATS servers down, and up again'
export const KILL = 'kill -9 of a node'
export const JOIN = 'join of a node without data'

/** The announces per second that use a quarter of a core. */
function quarterOfCore(plan: Plan, rows: Rows): number {
  if (plan.size === 'smoke') return 500
  const alone = rows.rows.find(({ name }) => name === UDP + ALONE)
  const cpuMicros = median((alone?.runs ?? []).map(run => run['cpuMicros'] ?? Number.NaN))
  return Math.round(250_000 / cpuMicros)
}

async function stopAll(nodes: readonly BenchNode[]): Promise<void> {
  await Promise.all(nodes.map(node => node.stop()))
}

/** The figures of two nodes that have all peers. The trackers are started again for each round. */
async function measurePair(rows: Rows, plan: Plan, nats: NatsServer): Promise<void> {
  const mix = nodesMix(plan)
  const rounds = bySize(plan, 2, 1, 1)
  for (let round = 1; round <= rounds; round++) {
    const trackers = await startTrackers(nats, mix, round)
    try {
      await measureThroughput(rows, plan, trackers, nats)
      await stopAll([trackers.alone, trackers.lonely, ...trackers.withoutLeases])
      if (round < rounds) continue
      rows.add(LAG, await measureLag(trackers.pair, plan, mix, quarterOfCore(plan, rows)))
      rows.add(ADMIN, await measureAdminChanges(trackers.pair, plan))
      rows.add(OUTAGE, await measureOutage(trackers.pair, nats, plan, mix))
    } finally {
      const { alone, lonely, pair, withoutLeases } = trackers
      await stopAll([alone, lonely, ...pair, ...withoutLeases])
    }
  }
}

export const nodes: Scenario = {
  name: 'nodes',
  about:
    'two nodes with one swarm: CPU against one, lag, NATS servers down, kill -9, join of a third one',
  secondsMax: 900,
  async run(plan) {
    const rows = createRows()
    const result = { title: 'Several nodes', options: { mix: nodesMix(plan) } }
    if (NATS_ABSENT) return { ...result, rows: rows.rows, notes: [`Left out: ${NATS_ABSENT}.`] }
    const nats = await NatsServer.start()
    try {
      await measurePair(rows, plan, nats)
      for (let round = 0; round < bySize(plan, 3, 2, 1); round++)
        rows.add(KILL, await measureKill(nats, plan, nodesMix(plan), round))
      const joins: Run[] = await measureJoin(nats, plan, bySize(plan, 2, 1, 1))
      for (const run of joins) rows.add(JOIN, run)
    } finally {
      await nats.stop()
    }
    return {
      ...result,
      options: { ...result.options, joinPeers: joinPeers(plan) },
      rows: rows.rows,
      notes: [
        'The CPU time of an announce is that of all processes and threads until the other node has applied it, nats-server included. Two nodes on a core each answer two seconds of CPU time per second: `announces/s × alone` is twice the CPU time of an announce to one tracker, divided by that of an announce to one of two nodes.',
        'With leases, each client stays at one node, and has announced to it so often that a fourth of the announces is sent to the other node, as in production. Without leases, `nodes.leases` is false and every announce is sent.',
        'The lag is that of a peer that announces to one node, until a client of the other node that asks every millisecond is given the peer, while the first node answers announces that use a quarter of a core.',
        'A change is a number of downloads, set through the API.',
        'While no NATS server runs, both nodes answer UDP and HTTP announces at a constant rate; latencies are those of HTTP. The load ends before the server returns, and `equal after s` is the time until scrapes of all torrents are equal.',
        'The killed node answers announces of new peers. Peers that it answered and that the other node does not have are lost.',
        'A node without data joins one that restored a snapshot, while that one answers HTTP announces at a constant rate. The time begins with the start of the process, and ends when `/ready` answers 200.',
      ],
    }
  },
}
