import { startHttpGenerator, startUdpGenerator } from '../../load/generators.ts'
import { infoHashOf, type Mix } from '../../load/mix.ts'
import { sum } from '../../measure.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import { bySize, type Plan, type Run } from '../../scenario.ts'
import { httpMix } from '../http.ts'
import { type BenchNode, countPeers, countsOf, millisUntil, openClient } from './cluster.ts'

/** Requests per second to each node. Latencies are those of HTTP; UDP changes the swarms. */
const HTTP_RATE = 1000
const UDP_RATE = 10_000
const CONNECTIONS = 64

type Served = { readonly failed: number; readonly answered: number; readonly p99: number }

function startLoads(pair: readonly [BenchNode, BenchNode], plan: Plan, mix: Mix) {
  const clients = mix.clients >> 1
  const udp = pair.map(({ port }, n) =>
    startUdpGenerator({
      port,
      mix: { ...mix, clients, events: true },
      // Clients of the first node are known, and clients of the second one are new.
      firstClient: n * mix.clients + clients,
      rate: bySize(plan, UDP_RATE, UDP_RATE, 500),
    }),
  )
  const http = pair.map(({ port }, n) =>
    startHttpGenerator({
      port,
      family: 4,
      connections: bySize(plan, CONNECTIONS, CONNECTIONS, 4),
      keepAlive: true,
      rate: bySize(plan, HTTP_RATE, HTTP_RATE, 200),
      mix: { ...httpMix(plan), events: false, seed: n + 1 },
    }),
  )
  return {
    /** Loads both nodes. */
    async run(seconds: number): Promise<Served> {
      const [overUdp, overHttp] = await Promise.all([
        Promise.all(udp.map(generator => generator.run(seconds))),
        Promise.all(http.map(generator => generator.run(seconds))),
      ])
      return {
        failed:
          sum(overUdp.map(({ errors, lost }) => errors + lost)) +
          sum(overHttp.map(({ errors }) => errors)),
        answered:
          sum(overUdp.map(({ answered }) => answered)) +
          sum(overHttp.map(({ requests }) => requests)),
        p99: Math.max(...overHttp.map(({ p99 }) => p99)),
      }
    },
    stop() {
      for (const generator of [...udp, ...http]) generator.stop()
    },
  }
}

/**
 * Stops the only NATS server under load, starts it again without load, and measures the time until
 * both nodes have the same counts of all torrents.
 */
export async function measureOutage(
  pair: readonly [BenchNode, BenchNode],
  nats: NatsServer,
  plan: Plan,
  mix: Mix,
): Promise<Run> {
  const infoHashes = Array.from({ length: mix.torrents }, (_, n) => infoHashOf(n))
  const loads = startLoads(pair, plan, mix)
  const clients = await Promise.all(pair.map(openClient))
  const counts = () => Promise.all(clients.map(client => countsOf(client, infoHashes)))
  try {
    await loads.run(bySize(plan, 2, 1, 0.5))
    const before = await loads.run(bySize(plan, 10, 5, 0.5))
    await nats.stop()
    const during = await loads.run(bySize(plan, 60, 8, 1))
    const [a, b] = await counts()
    const isApart = a?.equals(b ?? Buffer.alloc(0)) === false
    await nats.restart()
    const equalMillis = await millisUntil(async () => {
      const [first, second] = await counts()
      return first?.equals(second ?? Buffer.alloc(0)) === true
    })
    const [client] = clients
    return {
      perSecond: during.answered / bySize(plan, 60, 8, 1),
      p99: during.p99,
      p99Ratio: during.p99 / before.p99,
      failedRequests: during.failed,
      peers: client ? await countPeers(client, infoHashes) : Number.NaN,
      // Nodes that did not grow apart would show nothing.
      equalSeconds: isApart ? equalMillis / 1000 : Number.NaN,
    }
  } finally {
    loads.stop()
    for (const client of clients) client.close()
  }
}
