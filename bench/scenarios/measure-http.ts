import { generateHttp } from '../load/generators.ts'
import type { HttpLoad } from '../load/http.ts'
import { countCpu, memoryMib, processTree, sum } from '../measure.ts'
import { GENERATOR_CORE, type Rival, type RivalOptions, TRACKER_CORE } from '../rivals/rival.ts'
import type { Run } from '../scenario.ts'

/** A load without the tracker that it goes to. */
export type HttpTask = Omit<HttpLoad, 'port' | 'family'> & {
  /** Tracker on one processor and generator on another. */
  readonly confined: boolean
}

/** One run against a tracker that is started for it: first to fill it and warm it up, then for the record. */
export async function measureHttp(
  rival: Rival,
  { confined, ...task }: HttpTask,
  options: Omit<RivalOptions, 'core'>,
): Promise<Run> {
  const tracker = await rival.start({ ...options, core: confined ? TRACKER_CORE : undefined })
  const core = confined ? GENERATOR_CORE : undefined
  try {
    const load: HttpLoad = { ...task, port: tracker.port, family: 4 }
    await generateHttp({ ...load, seconds: Math.max(0.3, task.seconds / 3) }, core)
    const pids = processTree(tracker.pid)
    const cpu = countCpu(pids)
    const report = await generateHttp(load, core)
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
    await tracker.stop()
  }
}
