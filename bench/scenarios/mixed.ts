import { generateHttp, startUdpGenerator } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import type { Mix } from '../load/mix.ts'
import { countCpu, memoryMib, processTree, sum } from '../measure.ts'
import { muster } from '../rivals/muster.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { httpConnections } from './http.ts'

/** HTTP rates, by family and kind of connection, that leave time for UDP on two processors. */
const HTTP_PER_SECOND = 2000

function mixOf(plan: Plan, seed: number): Mix {
  return {
    torrents: bySize(plan, 10_000, 2000, 10),
    clients: bySize(plan, 200_000, 50_000, 500),
    numwant: 'mixed',
    scrapes: 0.08,
    events: true,
    seed,
  }
}

async function measureMixed(plan: Plan): Promise<Run> {
  const tracker = await muster({ udp: { threads: 1 } }).start({ infoHashes: [], bodyBytes: 0 })
  const mix = mixOf(plan, 1)
  const generator = startUdpGenerator({ port: tracker.port, mix })
  try {
    await generator.fill()
    const pids = processTree(tracker.pid)
    const cpu = countCpu(pids)
    const loads: HttpLoad[] = ([4, 6] as const).flatMap(family =>
      [true, false].map((keepAlive, n) => ({
        port: tracker.port,
        family,
        connections: httpConnections(plan),
        keepAlive,
        rate: HTTP_PER_SECOND,
        mix: mixOf(plan, family + n),
      })),
    )
    const [udp, ...http] = await Promise.all([
      generator.run(plan.seconds),
      ...loads.map(load => generateHttp(load, plan.seconds)),
    ])
    const requests = udp.answered + sum(http.map(({ requests }) => requests))
    const slowest = (what: 'p50' | 'p99') => Math.max(...http.map(report => report[what]))
    return {
      perSecond: sum(http.map(({ requests, seconds }) => requests / seconds)),
      udpPerSecond: udp.answered / udp.seconds,
      cpuMicros: sum(cpu()) / Math.max(1, requests),
      p50: slowest('p50'),
      p99: slowest('p99'),
      lossPercent: ((udp.lost + udp.errors) / Math.max(1, udp.sent)) * 100,
      mib: memoryMib(pids),
      errors: sum(http.map(({ errors }) => errors)),
    }
  } finally {
    generator.stop()
    await tracker.stop()
  }
}

export const mixed: Scenario = {
  name: 'mixed',
  about: 'muster with HTTP and UDP, IPv4 and IPv6, all events and scrapes at once',
  secondsMax: 180,
  async run(plan) {
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) rows.add('muster', await measureMixed(plan))
    return {
      title: 'Mixed load',
      options: { mix: mixOf(plan, 1), httpPerSecond: HTTP_PER_SECOND, seconds: plan.seconds },
      rows: rows.rows,
      notes: [
        `HTTP at ${HTTP_PER_SECOND} requests/s over each of IPv4 and IPv6, over kept connections and with a connection per request. UDP is limited by the answers and leaves the remaining CPU time to HTTP. Latencies are those of the slowest of the four HTTP loads.`,
      ],
    }
  },
}
