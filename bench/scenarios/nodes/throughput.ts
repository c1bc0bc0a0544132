import {
  type HttpGenerator,
  startHttpGenerator,
  startUdpGenerator,
  type UdpGenerator,
} from '../../load/generators.ts'
import type { Mix } from '../../load/mix.ts'
import { countCpu, sum } from '../../measure.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import { bySize, type Plan, type Rows } from '../../scenario.ts'
import { httpConnections, httpMix } from '../http.ts'
import { udpTask } from '../udp.ts'
import { type BenchNode, drained, joined, startNode, startPair } from './cluster.ts'

/** Names of the rows, below each protocol. */
export const ALONE = 'one tracker without [nodes]'
export const LONELY = '[nodes], and no other node'
export const ONE_OF_TWO = 'two nodes, announces to one'
export const BOTH = 'two nodes, half of the announces to each'
export const UDP = 'UDP: '
export const HTTP = 'HTTP, a connection each: '

/** Announces by known peers only, so that each is one delta. */
export function nodesMix(plan: Plan): Mix {
  return { ...udpTask(plan).mix, scrapes: 0 }
}

/** The trackers that are compared. They run at the same time, and are measured in turn. */
export type Trackers = {
  readonly alone: BenchNode
  readonly lonely: BenchNode
  readonly pair: [BenchNode, BenchNode]
}

/** The load generators of one protocol. */
type Loads = {
  readonly alone: () => Promise<number>
  readonly lonely: () => Promise<number>
  readonly one: () => Promise<number>
  readonly both: () => Promise<number>
  stop(): void
}

/** Starts the trackers and enters all peers. */
export async function startTrackers(nats: NatsServer, mix: Mix, round: number): Promise<Trackers> {
  const [alone, lonely, pair] = await Promise.all([
    startNode(),
    startNode({ nats, cluster: `lonely-${round}` }),
    startPair(nats, `pair-${round}`),
  ])
  await joined(lonely)
  const generators = [alone, lonely, pair[0]].map(({ port }) => startUdpGenerator({ port, mix }))
  await Promise.all(generators.map(generator => generator.fill()))
  for (const generator of generators) generator.stop()
  await drained(pair)
  return { alone, lonely, pair }
}

async function udpAnswers(generator: UdpGenerator, seconds: number): Promise<number> {
  return (await generator.run(seconds)).answered
}

function udpLoads({ alone, lonely, pair: [a, b] }: Trackers, mix: Mix, seconds: number): Loads {
  const clients = mix.clients >> 1
  const half = { ...mix, clients }
  const generators = {
    alone: startUdpGenerator({ port: alone.port, mix }),
    lonely: startUdpGenerator({ port: lonely.port, mix }),
    one: startUdpGenerator({ port: a.port, mix }),
    first: startUdpGenerator({ port: a.port, mix: half }),
    second: startUdpGenerator({ port: b.port, mix: half, firstClient: clients }),
  }
  return {
    alone: () => udpAnswers(generators.alone, seconds),
    lonely: () => udpAnswers(generators.lonely, seconds),
    one: () => udpAnswers(generators.one, seconds),
    async both() {
      const { first, second } = generators
      return sum(await Promise.all([udpAnswers(first, seconds), udpAnswers(second, seconds)]))
    },
    stop() {
      for (const generator of Object.values(generators)) generator.stop()
    },
  }
}

async function httpAnswers(generator: HttpGenerator, seconds: number): Promise<number> {
  return (await generator.run(seconds)).requests
}

function httpLoads({ alone, lonely, pair: [a, b] }: Trackers, plan: Plan, seconds: number): Loads {
  const start = (port: number, seed: number) =>
    startHttpGenerator({
      port,
      family: 4,
      connections: httpConnections(plan),
      keepAlive: false,
      rate: 0,
      // A client that is at both nodes has the same state at both.
      mix: { ...httpMix(plan), scrapes: 0, events: false, seed },
    })
  const generators = {
    alone: start(alone.port, 1),
    lonely: start(lonely.port, 1),
    one: start(a.port, 1),
    two: start(b.port, 2),
  }
  return {
    alone: () => httpAnswers(generators.alone, seconds),
    lonely: () => httpAnswers(generators.lonely, seconds),
    one: () => httpAnswers(generators.one, seconds),
    async both() {
      const { one, two } = generators
      return sum(await Promise.all([httpAnswers(one, seconds), httpAnswers(two, seconds)]))
    },
    stop() {
      for (const generator of Object.values(generators)) generator.stop()
    },
  }
}

/** CPU time of a tracker of one process, by its answers. */
async function microsOfOne(node: BenchNode, load: () => Promise<number>): Promise<number> {
  const cpu = countCpu([node.pid])
  const answers = await load()
  return sum(cpu()) / Math.max(1, answers)
}

/** CPU time of both nodes and of nats-server, until all deltas are applied. */
async function microsOfPair(
  { pair }: Trackers,
  nats: NatsServer,
  load: () => Promise<number>,
): Promise<number[]> {
  const cpu = countCpu([...pair.map(({ pid }) => pid), nats.pid])
  const answers = await load()
  await drained(pair)
  return cpu().map(used => used / Math.max(1, answers))
}

/**
 * One turn. Two nodes on a core each answer `2 / cost` announces per second, where the cost of an
 * announce includes the other node and nats-server.
 */
async function measureTurn(
  rows: Rows,
  prefix: string,
  trackers: Trackers,
  nats: NatsServer,
  loads: Loads,
): Promise<void> {
  const alone = await microsOfOne(trackers.alone, loads.alone)
  const lonely = await microsOfOne(trackers.lonely, loads.lonely)
  const one = await microsOfPair(trackers, nats, loads.one)
  const both = await microsOfPair(trackers, nats, loads.both)
  const runOf = (cpuMicros: number, nodes: number) => ({
    perCore: 1e6 / cpuMicros,
    cpuMicros,
    timesAlone: (nodes * alone) / cpuMicros,
  })
  const [nodeMicros = 0, deltaMicros = 0, natsMicros = 0] = one
  rows.add(prefix + ALONE, runOf(alone, 1))
  rows.add(prefix + LONELY, runOf(lonely, 1))
  rows.add(prefix + ONE_OF_TWO, { ...runOf(sum(one), 2), nodeMicros, deltaMicros, natsMicros })
  rows.add(prefix + BOTH, { ...runOf(sum(both), 2), natsMicros: both[2] ?? 0 })
}

/** Measures every subject in turn, over UDP and over HTTP. */
export async function measureThroughput(
  rows: Rows,
  plan: Plan,
  trackers: Trackers,
  nats: NatsServer,
): Promise<void> {
  const seconds = plan.seconds * 0.75
  const turns = bySize(plan, 2, 2, 1)
  const all = [
    [UDP, udpLoads(trackers, nodesMix(plan), seconds)],
    [HTTP, httpLoads(trackers, plan, plan.seconds / 2)],
  ] as const
  for (const [prefix, loads] of all) {
    await Promise.all([loads.alone(), loads.lonely(), loads.one()])
    await loads.both()
    await drained(trackers.pair)
    for (let turn = 0; turn < turns; turn++) await measureTurn(rows, prefix, trackers, nats, loads)
    loads.stop()
  }
}
