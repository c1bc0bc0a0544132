import { collectTables } from '../../src/app/table-samples.ts'
import { createProcesses } from '../../src/counters/processes.ts'
import { openEngine } from '../../src/engine/engine.ts'
import { renderMetrics } from '../../src/metrics/exposition.ts'
import { Samples } from '../../src/metrics/samples.ts'
import { flatStats } from '../../src/metrics/torrust-actix.ts'
import { collectServers } from '../../src/serving/server-samples.ts'
import { collectEngineThreads, collectUdpThreads } from '../../src/threads/thread-samples.ts'
import { quantile } from '../measure.ts'
import { NOW, SETTINGS } from '../micro/clients.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { filledTables } from './engine-host.ts'

const PEERS_PER_TORRENT = 5

export const scrape: Scenario = {
  name: 'metrics',
  about: '/metrics and /stats with 10M peers in the tables',
  secondsMax: 300,
  async run(plan) {
    const peers = bySize(plan, 10_000_000, 1_000_000, 10_000)
    const times = bySize(plan, 200, 100, 5)
    const engine = openEngine(filledTables(peers / PEERS_PER_TORRENT, peers), SETTINGS)
    const processes = createProcesses(() => performance.now())
    const collect = () => {
      const samples = new Samples()
      collectServers(samples, processes, performance.now())
      collectTables(samples, engine, false)
      collectEngineThreads(samples, [])
      collectUdpThreads(samples, [], new Set([6969]))
      return samples
    }
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      for (const [name, make] of [
        ['/metrics', () => renderMetrics(collect(), 'torrust_actix')],
        ['/stats', async () => JSON.stringify(flatStats(collect(), engine.access.rules, NOW))],
      ] as const) {
        const micros: number[] = []
        let bodyBytes = 0
        const cpu = process.cpuUsage()
        for (let n = 0; n < times; n++) {
          const begun = performance.now()
          bodyBytes = (await make()).length
          micros.push((performance.now() - begun) * 1000)
        }
        const { system, user } = process.cpuUsage(cpu)
        rows.add(name, {
          cpuMicros: (system + user) / times,
          p50Micros: quantile(micros, 0.5),
          p99Micros: quantile(micros, 0.99),
          bodyBytes,
        })
      }
    }
    return {
      title: `Scrapes with ${peers} peers`,
      options: { peers, torrents: peers / PEERS_PER_TORRENT, times },
      rows: rows.rows,
      notes: ['Each answer is created on one thread, which does nothing else meanwhile.'],
    }
  },
}
