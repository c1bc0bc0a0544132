import type { EngineTables } from '../../src/engine/engine.ts'
import type { Latencies } from '../load/latencies.ts'
import { type LinkLoad, paceLink } from '../load/link.ts'
import type { Run } from '../scenario.ts'
import { NO_SWEEP_SECONDS, startEngineHost } from './engine-host.ts'

/** Announces per second over the link during other work. They do not saturate an engine thread. */
export const BESIDE_RATE = 20_000

/** A run with the p99 with and without other work. */
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
  /** Seconds of a sweep pass during the work. */
  readonly sweepSeconds?: number
  /** Seconds since NOW. */
  readonly later?: number
}

/** Measures latency over a Unix socket, first for `aloneMillis` alone, then during `work`. */
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
