import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SnapshotPool } from '../../../src/snapshot/pool.ts'
import { startHttpGenerator } from '../../load/generators.ts'
import type { HttpLoad } from '../../load/http.ts'
import { median } from '../../measure.ts'
import { benchFolder } from '../../rivals/muster.ts'
import type { NatsServer } from '../../rivals/nats.ts'
import { bySize, type Plan, type Run } from '../../scenario.ts'
import { filledTables } from '../engine-host.ts'
import { type BenchNode, callApi, joined, millisUntil, startNode } from './cluster.ts'

const RATE = 2000
const CLUSTER = 'join'

export function joinPeers(plan: Plan): number {
  return bySize(plan, 5_000_000, 1_000_000, 10_000)
}

/** Writes a snapshot of so many peers. */
async function writeSnapshot(file: string, peers: number): Promise<void> {
  const pool = new SnapshotPool()
  const nowSeconds = Math.floor(Date.now() / 1000)
  await pool.write({
    tables: filledTables(peers / 5, peers, undefined, nowSeconds),
    file,
    nowSeconds,
  })
  await pool.close()
}

/** p99 of each run in milliseconds, until `isOver`. */
async function latencies(load: HttpLoad, seconds: number, isOver: () => boolean) {
  const generator = startHttpGenerator(load)
  await generator.run(seconds)
  const p99: number[] = []
  do p99.push((await generator.run(seconds)).p99)
  while (!isOver())
  generator.stop()
  return median(p99)
}

async function isReady(node: BenchNode): Promise<boolean> {
  return (await callApi(node, 'GET', '/ready')).status === 200
}

async function peersOf(node: BenchNode): Promise<number> {
  const stats = (await (await callApi(node, 'GET', '/stats')).json()) as Record<string, number>
  return Number(stats['seeds']) + Number(stats['peers'])
}

/** Starts a node without data, and measures the time until it is ready. */
async function measureOne(nats: NatsServer, plan: Plan, giver: BenchNode): Promise<Run> {
  const load: HttpLoad = {
    port: giver.port,
    family: 4,
    connections: 16,
    keepAlive: true,
    rate: bySize(plan, RATE, RATE, 200),
    mix: { torrents: 1000, clients: 20_000, numwant: 50, scrapes: 0, events: false, seed: 1 },
  }
  const seconds = bySize(plan, 1, 0.5, 0.1)
  const quietEnd = performance.now() + seconds * 5000
  const quiet = await latencies(load, seconds, () => performance.now() > quietEnd)
  let isOver = false
  const beside = latencies(load, seconds, () => isOver)
  // The load has begun when the node starts.
  await sleep(seconds * 1000)
  const begun = performance.now()
  try {
    const node = await startNode({ nats, cluster: CLUSTER, name: 'b' })
    await millisUntil(() => isReady(node))
    const joinSeconds = (performance.now() - begun) / 1000
    isOver = true
    const p99 = await beside
    const peers = await peersOf(node)
    await node.stop()
    return { joinSeconds, peers, p99, p99Ratio: p99 / quiet }
  } finally {
    isOver = true
  }
}

/** Joins a node to one that has restored a snapshot, `rounds` times. */
export async function measureJoin(nats: NatsServer, plan: Plan, rounds: number): Promise<Run[]> {
  const folder = benchFolder()
  try {
    const path = join(folder, 'swarms')
    await writeSnapshot(path, joinPeers(plan))
    const giver = await startNode({
      nats,
      cluster: CLUSTER,
      config: { snapshot: { path, interval: 86_400 } },
      folder,
    })
    try {
      await giver.line(({ msg }) => msg === 'swarms restored')
      await joined(giver)
      const runs: Run[] = []
      for (let round = 0; round < rounds; round++) runs.push(await measureOne(nats, plan, giver))
      return runs
    } finally {
      await giver.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
