import { startHttpGenerator } from '../load/generators.ts'
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

/** Time for V8 to compile hot functions. */
const WARM_SECONDS = 1.5

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
    await generator.run(Math.max(seconds / 3, Math.min(WARM_SECONDS, seconds)))
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
