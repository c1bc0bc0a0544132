import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { infoHashOf } from '../load/announces.ts'
import type { HttpLoad, HttpReport } from '../load/http.ts'
import { cpuSeconds, median, memoryMib, processTree } from '../measure.ts'
import { machine, type Row, writeReport } from '../report.ts'
import type { Rival, RunningRival } from '../rivals/rival.ts'
import { bareUws, bittorrentTracker, muster, opentracker } from '../rivals/rivals.ts'

export type HttpScenario = {
  readonly seconds: number
  readonly runs: number
  readonly connections: number
  readonly torrents: number
  readonly clients: number
}

const NUMWANT = 50
const run = promisify(execFile)

async function generate(load: HttpLoad): Promise<HttpReport> {
  const generator = fileURLToPath(new URL('../load/http.js', import.meta.url))
  const { stdout } = await run(process.execPath, [generator, JSON.stringify(load)])
  return JSON.parse(stdout) as HttpReport
}

type Measured = HttpReport & { cpuMicros: number; mib: number }

/** One run against a tracker that runs already: first to fill it and warm it up, then for the record. */
async function measure(
  rival: RunningRival,
  scenario: HttpScenario,
  keepAlive: boolean,
): Promise<Measured> {
  const { seconds, connections, torrents, clients } = scenario
  const mix = { torrents, clients, numwant: NUMWANT, seed: 1 }
  const load: HttpLoad = { port: rival.port, seconds, connections, keepAlive, mix }
  await generate({ ...load, seconds: Math.max(0.3, seconds / 3) })
  const pids = processTree(rival.pid)
  const before = cpuSeconds(pids)
  const report = await generate(load)
  const cpuMicros = ((cpuSeconds(pids) - before) / Math.max(1, report.requests)) * 1e6
  return { ...report, cpuMicros, mib: memoryMib(pids) }
}

/** Runs all rivals in turn, round by round, over kept connections and over a connection for each request. */
export async function httpScenario(scenario: HttpScenario): Promise<void> {
  const infoHashes = Array.from({ length: scenario.torrents }, (_, n) => infoHashOf(n))
  const rows: Row[] = []
  for (const keepAlive of [true, false]) {
    const rivals: Rival[] = [muster, bareUws, bittorrentTracker, opentracker].filter(rival => {
      if (rival.absent) process.stdout.write(`left out: ${rival.absent}\n`)
      return !rival.absent && (!keepAlive || rival.keepAlive)
    })
    const results = new Map<string, Measured[]>(rivals.map(({ name }) => [name, []]))
    // Until muster has run, the size of its answers is a guess.
    let bodyBytes = 400
    for (let round = 0; round < scenario.runs; round++) {
      for (const rival of rivals) {
        const started = await rival.start({ infoHashes, bodyBytes: Math.round(bodyBytes) })
        try {
          const measured = await measure(started, scenario, keepAlive)
          results.get(rival.name)?.push(measured)
          if (rival === muster) bodyBytes = measured.bodyBytes
        } finally {
          await started.stop()
        }
      }
    }
    for (const [name, runs] of results) rows.push(summarise(name, keepAlive, runs))
  }
  writeReport('http', { ...scenario, numwant: NUMWANT }, machine(), rows)
}

function summarise(name: string, keepAlive: boolean, runs: readonly Measured[]): Row {
  const middle = (value: (run: Measured) => number) => median(runs.map(value))
  return {
    name,
    keepAlive,
    perSecond: middle(({ requests, seconds }) => requests / seconds),
    cpuMicros: middle(({ cpuMicros }) => cpuMicros),
    p50: middle(({ p50 }) => p50),
    p99: middle(({ p99 }) => p99),
    mib: middle(({ mib }) => mib),
    bodyBytes: middle(({ bodyBytes }) => bodyBytes),
    generatorBusy: middle(({ busy }) => busy),
    errors: runs.reduce((sum, { errors }) => sum + errors, 0),
  }
}
