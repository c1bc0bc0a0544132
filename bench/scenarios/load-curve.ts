import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startHttpGenerator } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import type { LinkCounts } from '../rivals/counting-server.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { httpMix } from './http.ts'

/** Connections. More requests wait for one, which counts in their latency. */
const CONNECTIONS = 256

async function takeCounts(server: ChildProcess): Promise<LinkCounts> {
  const answer = once(server, 'message', { signal: AbortSignal.timeout(10_000) })
  server.send('counts')
  return (await answer)[0] as LinkCounts
}

async function measureRate(server: ChildProcess, load: HttpLoad, seconds: number): Promise<Run> {
  const generator = startHttpGenerator(load)
  await generator.run(seconds / 4)
  await takeCounts(server)
  const report = await generator.run(seconds)
  const { records, frames } = await takeCounts(server)
  generator.stop()
  return {
    offered: load.rate,
    perSecond: report.requests / report.seconds,
    p50: report.p50,
    p99: report.p99,
    recordsPerFrame: records / Math.max(1, frames),
    errors: report.errors,
    generatorBusy: report.busy,
  }
}

function ratesOf(plan: Plan): readonly number[] {
  return bySize(
    plan,
    [500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000],
    [1000, 5000, 20_000, 40_000, 60_000],
    [200, 1000],
  )
}

export const loadCurve: Scenario = {
  name: 'load-curve',
  about:
    'HTTP at rising rates: latency, and records in a frame of the link; also draws the picture',
  secondsMax: 240,
  async run(plan) {
    const file = fileURLToPath(new URL('../rivals/counting-server.js', import.meta.url))
    const server = fork(file)
    const kill = () => server.kill('SIGKILL')
    process.once('exit', kill)
    const rows = createRows()
    const rounds = Math.ceil(plan.runs / 2)
    const mix = { ...httpMix(plan), events: false }
    try {
      const [{ port }] = (await once(server, 'message')) as [{ port: number }]
      const load = { port, family: 4, connections: CONNECTIONS, keepAlive: true, mix } as const
      for (let round = 0; round < rounds; round++) {
        for (const rate of ratesOf(plan)) {
          const run = await measureRate(server, { ...load, rate }, plan.seconds / 2)
          rows.add(`${rate} requests/s`, run)
        }
      }
    } finally {
      kill()
      process.off('exit', kill)
    }
    return {
      title: 'Batches and latency under rising load',
      options: { connections: CONNECTIONS, mix, rounds },
      rows: rows.rows,
      notes: [
        'HTTP over kept connections at random times. Latency counts from the time at which a request was due. The Unix socket of a worker connects frontend and engine thread. The generator shares the processors.',
      ],
    }
  },
}
