import { type HttpGenerator, startHttpGenerator } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import { countCpu, memoryMib, processTree, sum } from '../measure.ts'
import { GENERATOR_CORE, type Rival, type RivalOptions, TRACKER_CORE } from '../rivals/rival.ts'
import type { Run } from '../scenario.ts'

/** Options of a load, except for its tracker. */
export type HttpTask = Omit<HttpLoad, 'port' | 'family'> & {
  readonly seconds: number
  /** Whether tracker and generator are pinned to different processors. */
  readonly confined: boolean
  readonly tls?: boolean
}

/** Requests after which V8 has optimized hot functions. */
const WARM_REQUESTS = 60_000
const WARM_SECONDS = 1.5
/** A slow tracker is measured after so many runs, however few requests it answered. */
const WARM_RUNS_MAX = 6

/** Starts a tracker, fills it, warms it up and measures it. */
export async function measureHttp(
  rival: Rival,
  { confined, seconds, tls, ...task }: HttpTask,
  options: Omit<RivalOptions, 'core'>,
): Promise<Run> {
  const tracker = await rival.start({ ...options, core: confined ? TRACKER_CORE : undefined })
  const load: HttpLoad = { ...task, port: tracker.port, family: 4 }
  const generator = startHttpGenerator(load, confined ? GENERATOR_CORE : undefined, tls)
  try {
    await warmUp(generator, seconds)
    const pids = processTree(tracker.pid)
    const cpu = countCpu(pids)
    const report = await generator.run(seconds)
    const micros = cpu().map(used => used / Math.max(1, report.requests))
    const [primary = 0, ...workers] = micros
    const cpuMicros = sum(micros)
    return {
      perSecond: report.requests / report.seconds,
      perCore: 1e6 / cpuMicros,
      cpuMicros,
      ...(workers.length > 0 && { primaryMicros: primary, workerMicros: cpuMicros - primary }),
      p50: report.p50,
      p99: report.p99,
      mib: memoryMib(pids),
      bodyBytes: report.bodyBytes,
      errors: report.errors,
      generatorBusy: report.busy,
    }
  } finally {
    generator.stop()
    await tracker.stop()
  }
}

/** Loads a tracker until it is as fast as after days. Short measurements get a short warm-up. */
async function warmUp(generator: HttpGenerator, secondsMeasured: number): Promise<void> {
  const seconds = Math.max(secondsMeasured / 3, Math.min(WARM_SECONDS, secondsMeasured))
  const runs = secondsMeasured < 1 ? 1 : WARM_RUNS_MAX
  let answered = 0
  for (let run = 0; run < runs && answered < WARM_REQUESTS; run++) {
    answered += (await generator.run(seconds)).requests
  }
}
