import {
  type HttpGenerator,
  startHttpGenerator,
  startUdpGenerator,
  type UdpGenerator,
} from '../../load/generators.ts'
import type { Mix } from '../../load/mix.ts'
import type { UdpLoad } from '../../load/udp.ts'
import { countCpu, sum } from '../../measure.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import { bySize, type Plan, type Rows } from '../../scenario.ts'
import { httpConnections, httpMix } from '../http.ts'
import { udpTask } from '../udp.ts'
import { type BenchNode, drained, joined, startNode, startPair } from './cluster.ts'

/** Names of the rows, below each protocol. */
export const ALONE = 'one tracker without [nodes]'
export const LONELY = '[nodes], and no other node'
export const BOTH = 'two nodes, half of the announces to each'
export const ONE_OF_TWO = 'two nodes without leases, announces to one'
export const BOTH_WITHOUT_LEASES = 'two nodes without leases, half of the announces to each'
export const UDP = 'UDP: '
export const HTTP = 'HTTP, a connection each: '

/** Announces of each peer after which a fourth of them is sent to the other node. */
const ANNOUNCES_UNTIL_STEADY = 3

/** Announces by known peers only, so that each is one delta. */
export function nodesMix(plan: Plan): Mix {
  return { ...udpTask(plan).mix, scrapes: 0 }
}

/** The trackers that are compared. They run at the same time, and are measured in turn. */
export type Trackers = {
  readonly alone: BenchNode
  readonly lonely: BenchNode
  readonly pair: Pair
  /** Two nodes that send every announce. */
  readonly withoutLeases: Pair
}

type Pair = [BenchNode, BenchNode]

/** The load generators of one protocol. Each returns the number of answers. */
type Loads = {
  readonly alone: () => Promise<number>
  readonly lonely: () => Promise<number>
  readonly both: () => Promise<number>
  readonly one: () => Promise<number>
  readonly bothWithoutLeases: () => Promise<number>
  /** Clients of `both`. */
  readonly clients: number
  stop(): void
}

/** Starts the trackers and enters all peers. */
export async function startTrackers(nats: NatsServer, mix: Mix, round: number): Promise<Trackers> {
  const [alone, lonely, pair, withoutLeases] = await Promise.all([
    startNode(),
    startNode({ nats, cluster: `lonely-${round}` }),
    startPair(nats, `pair-${round}`),
    startPair(nats, `without-leases-${round}`, { leases: false }),
  ])
  await joined(lonely)
  const clients = mix.clients >> 1
  const halves = pair.map(({ port }, n) =>
    startUdpGenerator({ port, mix: { ...mix, clients }, firstClient: n * clients }),
  )
  const whole = [alone, lonely, withoutLeases[0]]
  const generators = [...halves, ...whole.map(({ port }) => startUdpGenerator({ port, mix }))]
  await Promise.all(generators.map(generator => generator.fill()))
  for (const generator of generators) generator.stop()
  await Promise.all([drained(pair), drained(withoutLeases)])
  return { alone, lonely, pair, withoutLeases }
}

function udpLoads(trackers: Trackers, mix: Mix, seconds: number): Loads {
  const all: UdpGenerator[] = []
  const start = (load: UdpLoad) => {
    const generator = startUdpGenerator(load)
    all.push(generator)
    return async () => (await generator.run(seconds)).answered
  }
  const clients = mix.clients >> 1
  const halves = (pair: Pair) => {
    const loads = pair.map(({ port }, n) =>
      start({ port, mix: { ...mix, clients }, firstClient: n * clients }),
    )
    return async () => sum(await Promise.all(loads.map(load => load())))
  }
  const { alone, lonely, pair, withoutLeases } = trackers
  return {
    alone: start({ port: alone.port, mix }),
    lonely: start({ port: lonely.port, mix }),
    both: halves(pair),
    one: start({ port: withoutLeases[0].port, mix }),
    bothWithoutLeases: halves(withoutLeases),
    clients: mix.clients,
    stop() {
      for (const generator of all) generator.stop()
    },
  }
}

function httpLoads(trackers: Trackers, plan: Plan, seconds: number): Loads {
  const all: HttpGenerator[] = []
  const mix = { ...httpMix(plan), scrapes: 0, events: false }
  const start = ({ port }: BenchNode, clients = mix.clients, firstClient = 0) => {
    const generator = startHttpGenerator({
      port,
      family: 4,
      connections: httpConnections(plan),
      keepAlive: false,
      rate: 0,
      mix: { ...mix, clients },
      firstClient,
    })
    all.push(generator)
    return async () => (await generator.run(seconds)).requests
  }
  const halves = (pair: Pair) => {
    const clients = mix.clients >> 1
    const loads = pair.map((node, n) => start(node, clients, n * clients))
    return async () => sum(await Promise.all(loads.map(load => load())))
  }
  const { alone, lonely, pair, withoutLeases } = trackers
  return {
    alone: start(alone),
    lonely: start(lonely),
    both: halves(pair),
    one: start(withoutLeases[0]),
    bothWithoutLeases: halves(withoutLeases),
    clients: mix.clients,
    stop() {
      for (const generator of all) generator.stop()
    },
  }
}

/** CPU time of a tracker of one process, by its answers. */
async function microsOfOne(node: BenchNode, load: () => Promise<number>): Promise<number> {
  const cpu = countCpu([node.pid])
  const answers = await load()
  return sum(cpu()) / Math.max(1, answers)
}

/**
 * CPU time of both nodes and of nats-server, until all deltas are applied. The wait for that, with
 * the requests for metrics that it needs, is repeated without load and subtracted.
 */
async function microsOfPair(
  pair: Pair,
  nats: NatsServer,
  load: () => Promise<number>,
): Promise<number[]> {
  const pids = [...pair.map(({ pid }) => pid), nats.pid]
  const cpu = countCpu(pids)
  const answers = await load()
  await drained(pair)
  const used = cpu()
  const idle = countCpu(pids)
  await drained(pair)
  const unused = idle()
  return used.map((micros, n) => (micros - (unused[n] ?? 0)) / Math.max(1, answers))
}

/**
 * One turn. Two nodes on a core each answer `2 / cost` announces per second, where the cost of an
 * announce includes the other node and nats-server.
 */
async function measureTurn(
  rows: Rows,
  prefix: string,
  { pair, withoutLeases, ...trackers }: Trackers,
  nats: NatsServer,
  loads: Loads,
): Promise<void> {
  const alone = await microsOfOne(trackers.alone, loads.alone)
  const lonely = await microsOfOne(trackers.lonely, loads.lonely)
  const both = await microsOfPair(pair, nats, loads.both)
  const one = await microsOfPair(withoutLeases, nats, loads.one)
  const without = await microsOfPair(withoutLeases, nats, loads.bothWithoutLeases)
  const runOf = (cpuMicros: number, nodes: number) => ({
    perCore: 1e6 / cpuMicros,
    cpuMicros,
    timesAlone: (nodes * alone) / cpuMicros,
  })
  const [nodeMicros = 0, deltaMicros = 0, natsMicros = 0] = one
  rows.add(prefix + ALONE, runOf(alone, 1))
  rows.add(prefix + LONELY, runOf(lonely, 1))
  rows.add(prefix + BOTH, { ...runOf(sum(both), 2), natsMicros: both[2] ?? 0 })
  rows.add(prefix + ONE_OF_TWO, { ...runOf(sum(one), 2), nodeMicros, deltaMicros, natsMicros })
  rows.add(prefix + BOTH_WITHOUT_LEASES, {
    ...runOf(sum(without), 2),
    natsMicros: without[2] ?? 0,
  })
}

/** Announces to both nodes until leases are as old as they are in the long run. */
async function warmUp({ pair }: Trackers, { both, clients }: Loads): Promise<void> {
  let answered = 0
  while (answered < clients * ANNOUNCES_UNTIL_STEADY) {
    const more = await both()
    if (more === 0) throw new Error('the nodes do not answer')
    answered += more
  }
  await drained(pair)
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
    await warmUp(trackers, loads)
    await drained(trackers.withoutLeases)
    for (let turn = 0; turn < turns; turn++) await measureTurn(rows, prefix, trackers, nats, loads)
    loads.stop()
  }
}
