import { startHttpGenerator, startUdpGenerator } from '../load/generators.ts'
import { countCpu, processTree, sum } from '../measure.ts'
import { type MusterOptions, muster } from '../rivals/muster.ts'
import type { RunningRival } from '../rivals/rival.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { httpConnections, httpMix } from './http.ts'
import { measureLoad, udpTask } from './udp.ts'

const WITHOUT = 'without limits'
const WITH = 'default limits'

/** A tracker that is loaded again and again, in turns with others. */
type Loaded = { readonly name: string; measure(): Promise<Run>; stop(): Promise<void> }

/** A tracker over UDP with the peers of the guard. */
async function startUdp(how: string, plan: Plan): Promise<Loaded> {
  const limits = { profile: how === WITH ? 'public' : 'open' }
  const config = { frontend: { workers: 0 }, limits }
  const tracker = await startTracker({ udp: { threads: 1 }, config })
  const clients = bySize(plan, 100_000, 100_000, 1000)
  const mix = { ...udpTask(plan).mix, clients, torrents: clients / 100 }
  const generator = startUdpGenerator({ port: tracker.port, mix })
  await generator.fill()
  return {
    name: `UDP, ${how}`,
    measure: () => measureLoad(tracker, () => generator.run(plan.seconds)),
    async stop() {
      generator.stop()
      await tracker.stop()
    },
  }
}

/** A tracker over kept HTTP connections. Each has its own address, which sends a lot. */
async function startHttp(how: string, plan: Plan): Promise<Loaded> {
  const many = { announces_per_address: 60_000, announces_per_address_burst: 30_000 }
  const limits = how === WITH ? { profile: 'public', ...many } : { profile: 'open' }
  const tracker = await startTracker({ config: { limits } })
  const generator = startHttpGenerator({
    port: tracker.port,
    family: 4,
    connections: httpConnections(plan),
    keepAlive: true,
    rate: 0,
    mix: httpMix(plan),
  })
  return {
    name: `HTTP, ${how}`,
    async measure() {
      const cpu = countCpu(processTree(tracker.pid))
      const { errors, requests } = await generator.run(plan.seconds)
      return { cpuMicros: sum(cpu()) / Math.max(1, requests), errors }
    },
    async stop() {
      generator.stop()
      await tracker.stop()
    },
  }
}

function startTracker(options: MusterOptions): Promise<RunningRival> {
  return muster(options).start({ infoHashes: [], bodyBytes: 0 })
}

export const limitsWhole: Scenario = {
  name: 'limits-whole',
  about: 'whole announces over UDP and HTTP, with the default limits and without',
  secondsMax: 600,
  async run(plan) {
    const rows = createRows()
    for (const start of [startUdp, startHttp]) {
      const trackers: Loaded[] = []
      try {
        for (const how of [WITHOUT, WITH]) trackers.push(await start(how, plan))
        for (const { measure } of trackers) await measure()
        for (let round = 0; round < plan.runs; round++) {
          for (const { name, measure } of trackers) rows.add(name, await measure())
        }
      } finally {
        for (const tracker of trackers) await tracker.stop()
      }
    }
    return {
      title: 'The default limits, whole announces',
      options: { numwant: 50 },
      rows: rows.rows,
      notes: [
        'Over HTTP, the limit of announces is higher than the default one, because the generator has 64 addresses.',
      ],
    }
  },
}
