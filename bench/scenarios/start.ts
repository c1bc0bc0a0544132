import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { SnapshotPool } from '../../src/snapshot/pool.ts'
import { startHttpGenerator } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import type { Mix } from '../load/mix.ts'
import { benchFolder, muster } from '../rivals/muster.ts'
import type { RunningRival } from '../rivals/rival.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { filledTables } from './engine-host.ts'

/** Announces per second during the restore. */
const RATE = 2000
const SHORT_SECONDS = 0.05

function loadOf(plan: Plan, tracker: RunningRival): HttpLoad {
  const mix: Mix = {
    torrents: bySize(plan, 10_000, 10_000, 10),
    clients: bySize(plan, 20_000, 20_000, 100),
    numwant: 50,
    scrapes: 0,
    events: false,
    seed: 1,
  }
  return { port: tracker.port, family: 4, connections: 16, keepAlive: true, rate: RATE, mix }
}

/** Starts the tracker and sends requests until it answers. */
async function startAndAsk(config: object, folder: string) {
  const begun = performance.now()
  const tracker = await muster({ udp: { threads: 1 }, config, folder }).start({
    infoHashes: [],
    bodyBytes: 0,
  })
  const response = await fetch(
    `http://127.0.0.1:${tracker.port}/scrape?info_hash=${'a'.repeat(20)}`,
  )
  const body = await response.text()
  if (!body.startsWith('d')) throw new Error(`no scrape: ${body}`)
  return { tracker, firstAnswerMillis: performance.now() - begun }
}

/** Measures a start with a snapshot, and the latency of announces during the restore. */
async function measureRestore(plan: Plan, folder: string, config: object): Promise<Run> {
  const { tracker, firstAnswerMillis } = await startAndAsk(config, folder)
  try {
    const generator = startHttpGenerator(loadOf(plan, tracker))
    let isBack = false
    const back = tracker
      .line(({ msg }) => msg === 'swarms restored')
      .then(line => {
        isBack = true
        return line
      })
    const seconds = plan.size === 'smoke' ? SHORT_SECONDS : 1
    const p99: number[] = []
    let errors = 0
    do {
      const report = await generator.run(seconds)
      p99.push(report.p99)
      errors += report.errors
    } while (!isBack)
    const { millis, peers } = await back
    const after = await generator.run(seconds * 2)
    generator.stop()
    return {
      firstAnswerMillis,
      restoreSeconds: Number(millis) / 1000,
      peers: (peers as number[])[0] ?? Number.NaN,
      p99: Math.max(...p99),
      p99Ratio: Math.max(...p99) / after.p99,
      errors: errors + after.errors,
    }
  } finally {
    await tracker.stop()
  }
}

export const start: Scenario = {
  name: 'start',
  about: 'cold start to the first answer, and serving while 5M peers are restored',
  secondsMax: 240,
  async run(plan) {
    const peers = bySize(plan, 5_000_000, 1_000_000, 10_000)
    const rows = createRows()
    const folder = benchFolder()
    const file = join(folder, 'swarms')
    const none = { snapshot: { enabled: false } }
    try {
      for (let round = 0; round < plan.runs; round++) {
        const { tracker, firstAnswerMillis } = await startAndAsk(none, folder)
        await tracker.stop()
        rows.add('without data', { firstAnswerMillis })
      }
      const pool = new SnapshotPool()
      const nowSeconds = Math.floor(Date.now() / 1000)
      const tables = filledTables(peers / 5, peers, undefined, nowSeconds)
      await pool.write({ tables, file, nowSeconds })
      await pool.close()
      const config = { snapshot: { path: file, interval: 86_400 } }
      for (let round = 0; round < Math.ceil(plan.runs / 2); round++) {
        rows.add('with 5M peers to restore', await measureRestore(plan, folder, config))
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    return {
      title: 'Starting',
      options: { peers, rate: RATE },
      rows: rows.rows,
      notes: [
        'From the start of the process to the first HTTP answer. While swarms are restored, HTTP requests arrive at a constant rate: p99 is that of the worst second, compared with the seconds after the restore.',
      ],
    }
  },
}
