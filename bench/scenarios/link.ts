import { answer } from '../../src/engine/answer.ts'
import { openEngine } from '../../src/engine/engine.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import type { Link } from '../../src/link/link.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES } from '../../src/protocol/records.ts'
import { burstLink, type LinkLoad } from '../load/link.ts'
import { nanosEach } from '../measure.ts'
import { NOW, SETTINGS, writeMember } from '../micro/clients.ts'
import { bySize, createRows, type Run, type Scenario } from '../scenario.ts'
import { filledTables, NO_SWEEP_SECONDS, startEngineHost, type Transport } from './engine-host.ts'

export const NO_LINK = 'no link'
export const TRANSPORTS: readonly Transport[] = ['MessagePort', 'Unix socket']

/** How the row of a transport at a burst is called. */
export function burstName(transport: Transport, burst: number): string {
  return `${transport}, ${burst} at a time`
}

async function measureBurst(
  link: Link,
  load: LinkLoad,
  burst: number,
  seconds: number,
): Promise<Run> {
  const cpu = process.cpuUsage()
  const {
    records,
    failed,
    frames,
    latencies,
    seconds: took,
  } = await burstLink(link, load, burst, seconds)
  const { user, system } = process.cpuUsage(cpu)
  return {
    perSecond: records / took,
    cpuNanos: ((user + system) * 1000) / records,
    recordsPerFrame: records / frames,
    p50Micros: latencies.quantile(0.5) * 1000,
    p99Micros: latencies.quantile(0.99) * 1000,
    errors: failed,
  }
}

export const link: Scenario = {
  name: 'link',
  about: 'frontend to engine thread: no link, MessagePort and Unix socket at several rates',
  secondsMax: 240,
  async run(plan) {
    const load: LinkLoad = {
      torrents: bySize(plan, 10_000, 10_000, 100),
      peers: bySize(plan, 100_000, 100_000, 1000),
      seed: 1,
    }
    const bursts = bySize(plan, [1, 4, 16, 64, 256], [1, 16, 256], [1, 16])
    const seconds = plan.seconds / 4
    const tables = filledTables(load.torrents, load.peers)
    const host = await startEngineHost({ tables, sweepSeconds: NO_SWEEP_SECONDS })
    const rows = createRows()
    const engine = openEngine(tables, SETTINGS)
    try {
      for (let round = 0; round < plan.runs; round++) {
        rows.add(NO_LINK, { cpuNanos: answerDirectly(engine, load, seconds * 500_000) })
        for (const transport of TRANSPORTS) {
          const link = await host.link(transport)
          for (const burst of bursts) {
            await measureBurst(link, load, burst, seconds / 4)
            rows.add(burstName(transport, burst), await measureBurst(link, load, burst, seconds))
          }
          link.close()
        }
      }
    } finally {
      await host.stop()
    }
    return {
      title: 'The link between frontend and engine',
      options: { ...load, bursts, seconds },
      rows: rows.rows,
      base: { name: NO_LINK, metric: 'cpuNanos' },
      notes: [
        'CPU time of both sides, including the announce and the creation of the request. The stated number of records is sent in one event-loop turn; the next ones follow when all are answered.',
      ],
    }
  },
}

/** The same announces by a plain call. */
function answerDirectly(
  engine: ReturnType<typeof openEngine>,
  load: LinkLoad,
  count: number,
): number {
  const random = createRandom(load.seed)
  const request = allocate(ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  return nanosEach(count, () => {
    for (let n = 0; n < count; n++) {
      writeMember(request, randomBelow(random, load.peers), load.torrents)
      answer(engine, request, 0, reply, 0, NOW)
    }
  })
}
