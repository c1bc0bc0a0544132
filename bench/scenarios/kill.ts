import { setTimeout as sleep } from 'node:timers/promises'
import { generateHttp } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import { freePort } from '../rivals/free-port.ts'
import { muster } from '../rivals/muster.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { httpConnections, httpMix } from './http.ts'

const TOKEN = 'the token of a bench, long enough to be one'

async function peersOf(apiPort: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${apiPort}/stats`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  const { seeds, peers } = (await answer.json()) as { seeds: number; peers: number }
  return seeds + peers
}

/** Kills a worker during a load with a constant set of peers. */
async function measureKill(plan: Plan): Promise<Run> {
  const apiPort = await freePort()
  const config = {
    frontend: { workers: 2 },
    api_server: [{ bind_address: `127.0.0.1:${apiPort}` }],
    tracker_config: { api_key: TOKEN },
  }
  const tracker = await muster({ config }).start({ infoHashes: [], bodyBytes: 0 })
  try {
    const load: HttpLoad = {
      port: tracker.port,
      family: 4,
      connections: httpConnections(plan) * 2,
      keepAlive: true,
      rate: bySize(plan, 5000, 5000, 500),
      mix: { ...httpMix(plan), events: false },
    }
    const seconds = bySize(plan, 4, 3, 1.5)
    // All clients are entered first, so that a missing one is lost.
    let before = -1
    for (let peers = 0; peers !== before; ) {
      before = peers
      await generateHttp({ ...load, rate: 0 }, seconds / 3)
      peers = await peersOf(apiPort)
    }
    const under = generateHttp(load, seconds)
    await sleep(seconds * 400)
    const { pid } = await tracker.line(({ msg }) => msg === 'worker started')
    const killedAt = Date.now()
    process.kill(Number(pid), 'SIGKILL')
    const back = await tracker.line(
      ({ msg, time }) => msg === 'worker started' && Number(time) >= killedAt,
    )
    const report = await under
    return {
      replacedMillis: Number(back.time) - killedAt,
      peers: before,
      peersLost: before - (await peersOf(apiPort)),
      failedRequests: report.errors,
      openConnections: load.connections,
      perSecond: report.requests / report.seconds,
    }
  } finally {
    await tracker.stop()
  }
}

export const kill: Scenario = {
  name: 'kill',
  about: 'kill -9 of one of two workers under load: losses, and time until it is replaced',
  secondsMax: 180,
  async run(plan) {
    const rows = createRows()
    const rounds = Math.ceil(plan.runs / 2)
    for (let round = 0; round < rounds; round++) rows.add('muster', await measureKill(plan))
    return {
      title: 'kill -9 of a worker',
      options: { rounds },
      rows: rows.rows,
      notes: [
        'Kept connections at a constant rate. The killed process has about half of them open. Their clients reconnect, and all other requests continue.',
      ],
    }
  },
}
