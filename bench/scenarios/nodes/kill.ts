import { setTimeout as sleep } from 'node:timers/promises'
import { startUdpGenerator } from '../../load/generators.ts'
import { infoHashOf, type Mix } from '../../load/mix.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import { bySize, type Plan, type Run } from '../../scenario.ts'
import { countPeers, openClient, startPair } from './cluster.ts'

const STABLE_MILLIS = 500

/**
 * Kills a node to which new peers announce, and compares the announces that it answered with the
 * peers that the other node has.
 */
export async function measureKill(
  nats: NatsServer,
  plan: Plan,
  mix: Mix,
  round: number,
): Promise<Run> {
  const rate = bySize(plan, 20_000, 20_000, 500)
  const seconds = bySize(plan, 3, 2, 1)
  const torrents = bySize(plan, 1000, 1000, 10)
  const infoHashes = Array.from({ length: torrents }, (_, n) => infoHashOf(n))
  const [a, b] = await startPair(nats, `kill-${round}`)
  // The generator connects first, and ends when the node does.
  const clients = rate * (seconds + 30)
  const generator = startUdpGenerator({ port: a.port, mix: { ...mix, torrents, clients }, rate })
  try {
    const client = await openClient(b)
    const load = generator.fill()
    while ((await countPeers(client, infoHashes)) === 0) await sleep(STABLE_MILLIS / 10)
    await sleep(seconds * 1000 + Math.random() * 50)
    process.kill(a.pid, 'SIGKILL')
    const { answered } = await load
    let peers = -1
    for (let now = 0; now !== peers; ) {
      await sleep(STABLE_MILLIS)
      peers = now
      now = await countPeers(client, infoHashes)
    }
    client.close()
    const peersLost = Math.max(0, answered - peers)
    return { offered: rate, peers, peersLost, lostSeconds: peersLost / rate }
  } finally {
    generator.stop()
    await Promise.all([a.stop(), b.stop()])
  }
}
