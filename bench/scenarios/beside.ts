import type { EngineTables } from '../../src/engine/engine.ts'
import type { Latencies } from '../load/latencies.ts'
import { type LinkLoad, paceLink } from '../load/link.ts'
import type { Run } from '../scenario.ts'
import { NO_SWEEP_SECONDS, startEngineHost } from './engine-host.ts'

/** Announces a second over the link beside other work: an engine thread then has time left. */
export const BESIDE_RATE = 20_000

/** p99 with and without, as a run. */
export function besideRun(alone: Latencies, beside: Latencies): Run {
  const p99Micros = beside.quantile(0.99) * 1000
  const p99AloneMicros = alone.quantile(0.99) * 1000
  return {
    p50Micros: beside.quantile(0.5) * 1000,
    p99Micros,
    p99AloneMicros,
    p99Ratio: p99Micros / p99AloneMicros,
  }
}

export type Beside = LinkLoad & {
  readonly tables: EngineTables
  readonly aloneMillis: number
  /** How fast the engine thread sweeps while the work goes on. */
  readonly sweepSeconds?: number
  /** Seconds after NOW. */
  readonly later?: number
}

/** What a frontend feels of it: latency over a Unix socket for `aloneMillis` without, then while `work` goes on. */
export async function besideLink(options: Beside, work: () => Promise<unknown>): Promise<Run> {
  const { tables, aloneMillis, sweepSeconds = NO_SWEEP_SECONDS, later = 0 } = options
  const measure = async (sweep: number, until: () => Promise<unknown>) => {
    const host = await startEngineHost({ tables, sweepSeconds: sweep, later })
    try {
      const link = await host.link('Unix socket')
      await paceLink(link, options, BESIDE_RATE, sleep(aloneMillis / 4))
      return await paceLink(link, options, BESIDE_RATE, until())
    } finally {
      await host.stop()
    }
  }
  const alone = await measure(NO_SWEEP_SECONDS, () => sleep(aloneMillis))
  const beside = await measure(sweepSeconds, work)
  return besideRun(alone.latencies, beside.latencies)
}

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}
