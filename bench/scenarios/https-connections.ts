import { rmSync } from 'node:fs'
import { startHttpGenerator, startHttpsGenerator } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import { countCpu, processTree, sum } from '../measure.ts'
import { KEY_TYPES, type KeyFiles, type KeyType, writeKeyFiles } from '../rivals/key-files.ts'
import { benchFolder, muster, musterOnNode } from '../rivals/muster.ts'
import { nginxAndMuster } from '../rivals/nginx.ts'
import { GENERATOR_CORE, type Rival, type RunningRival, TRACKER_CORE } from '../rivals/rival.ts'
import { bareUwsTls, present } from '../rivals/rivals.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { httpMix } from './http.ts'

const ANSWER_BYTES = 220
/** Time for V8 to compile hot functions, under many more requests than handshakes allow. */
const COMPILE_SECONDS = 2
/** Time in which the clients get the sessions that they resume. */
const SESSIONS_SECONDS = 0.5

/** The bare handler is the first: the others are compared with it. */
function rivals(keys: KeyFiles): Rival[] {
  const listener = { ssl: true, ...keys }
  return [
    bareUwsTls(keys.ssl_key, keys.ssl_cert),
    muster({ listener }),
    musterOnNode({ listener }),
    nginxAndMuster(keys),
  ]
}

/** Measures full handshakes and then resumed ones, from the same clients. */
async function measureHandshakes(
  rival: Rival,
  plan: Plan,
): Promise<{ readonly full: Run; readonly resumed: Run }> {
  const tracker = await rival.start({
    infoHashes: [],
    bodyBytes: ANSWER_BYTES,
    core: TRACKER_CORE,
  })
  try {
    await compile(tracker.port, plan)
    const full = await measureLoad(tracker, false, plan)
    return { full, resumed: await measureLoad(tracker, true, plan) }
  } finally {
    await tracker.stop()
  }
}

/** Loads a tracker over kept connections. */
async function compile(port: number, plan: Plan): Promise<void> {
  const mix = httpMix(plan)
  const load: HttpLoad = { port, family: 4, connections: 16, keepAlive: true, rate: 0, mix }
  const generator = startHttpGenerator(load, GENERATOR_CORE, true)
  try {
    await generator.run(Math.min(COMPILE_SECONDS, plan.seconds))
  } finally {
    generator.stop()
  }
}

async function measureLoad(tracker: RunningRival, resume: boolean, plan: Plan): Promise<Run> {
  const connections = bySize(plan, 64, 64, 4)
  const load = { port: tracker.port, connections, mix: httpMix(plan), resume }
  const generator = startHttpsGenerator(load, GENERATOR_CORE)
  try {
    await generator.run(Math.min(SESSIONS_SECONDS, plan.seconds))
    const roots = tracker.behind === undefined ? [tracker.pid] : [tracker.pid, tracker.behind]
    const cpu = countCpu(roots.flatMap(processTree))
    const { busy, errors, requests, resumed, seconds } = await generator.run(plan.seconds)
    const cpuMicros = sum(cpu()) / Math.max(1, requests)
    return {
      perSecond: requests / seconds,
      perCore: 1e6 / cpuMicros,
      cpuMicros,
      resumedPercent: (100 * resumed) / Math.max(1, requests),
      errors,
      generatorBusy: busy,
    }
  } finally {
    generator.stop()
  }
}

function rowName(rival: Rival, type: KeyType, handshake: 'full' | 'resumed'): string {
  return `${rival.name}, ${type}, ${handshake}`
}

async function measureAll(folder: string, plan: Plan) {
  const rows = createRows()
  const notes = new Set<string>()
  const types = bySize(plan, KEY_TYPES, KEY_TYPES, KEY_TYPES.slice(0, 1))
  const files = await Promise.all(types.map(type => writeKeyFiles(folder, type)))
  for (let round = 0; round < plan.runs; round++) {
    for (const [n, type] of types.entries()) {
      const missing: string[] = []
      const bare: Record<string, number> = {}
      for (const rival of present(rivals(files[n] as KeyFiles), missing)) {
        const measured = await measureHandshakes(rival, plan)
        for (const handshake of ['full', 'resumed'] as const) {
          const run = measured[handshake]
          const cpuMicros = run['cpuMicros'] ?? Number.NaN
          bare[handshake] ??= cpuMicros
          const timesBare = cpuMicros / bare[handshake]
          rows.add(rowName(rival, type, handshake), { ...run, timesBare })
        }
      }
      for (const note of missing) notes.add(note)
    }
  }
  return { rows: rows.rows, notes: [...notes] }
}

export const httpsConnections: Scenario = {
  name: 'https-connections',
  about:
    'HTTPS, a connection for each request: full and resumed handshakes, ECDSA and RSA, muster with both backends and behind nginx',
  secondsMax: 900,
  async run(plan) {
    const folder = benchFolder()
    try {
      const { notes, rows } = await measureAll(folder, plan)
      return {
        title: 'HTTPS, a connection for each request',
        options: { mix: httpMix(plan), seconds: plan.seconds },
        rows,
        notes: [
          'All processes of a tracker share one processor, and nginx is counted with muster. The generator uses Node’s TLS, whose handshake costs more than that of the servers: compare CPU time.',
          '"Resumed" is the share of requests whose client resumed its TLS 1.3 session, as the client sees it.',
          ...notes,
        ],
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
