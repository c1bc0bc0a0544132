import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { answer } from '../../src/engine/answer.ts'
import { type EngineTables, openEngine } from '../../src/engine/engine.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES } from '../../src/protocol/records.ts'
import { createLatencies, type Latencies, latencyBuckets } from '../load/latencies.ts'
import { NOW, SETTINGS, writeMember } from './clients.ts'

/** Phases: a warm-up, then the measured ones. */
const PHASE = 0
const STARTED = 1
const END = -1
const PHASES = 3
const WARM_ANNOUNCES = 100_000

type AnnouncerData = {
  readonly role: 'announcer'
  readonly tables: EngineTables
  readonly torrents: number
  readonly peers: number
  readonly control: Int32Array<SharedArrayBuffer>
  /** One histogram per phase. */
  readonly counts: readonly Uint32Array<SharedArrayBuffer>[]
}

/** Announces random clients without a pause, and records latencies in the phase's histogram. */
function announceAndCount({ tables, torrents, peers, control, counts }: AnnouncerData): void {
  const engine = openEngine(tables, SETTINGS)
  const random = createRandom(7)
  const request = allocate(ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  const latencies = counts.map(histogram => createLatencies(histogram))
  for (let n = 0; ; n++) {
    const phase = Atomics.load(control, PHASE)
    if (phase === END) return
    writeMember(request, randomBelow(random, peers), torrents)
    const begun = performance.now()
    answer(engine, request, 0, reply, 0, NOW + 1)
    latencies[phase]?.add(performance.now() - begun)
    if (n === WARM_ANNOUNCES) {
      Atomics.store(control, STARTED, 1)
      Atomics.notify(control, STARTED)
    }
  }
}

/**
 * Measures announces of a thread in the tables, as UDP threads make them: for `aloneMillis` alone,
 * and during `work`.
 */
export async function besideInPlace(
  swarms: { readonly tables: EngineTables; readonly torrents: number; readonly peers: number },
  aloneMillis: number,
  work: () => Promise<unknown>,
): Promise<{ readonly alone: Latencies; readonly beside: Latencies }> {
  const control = new Int32Array(new SharedArrayBuffer(8))
  const counts = Array.from(
    { length: PHASES },
    () => new Uint32Array(new SharedArrayBuffer(latencyBuckets() * 4)),
  )
  const announcer = new Worker(new URL(import.meta.url), {
    workerData: { role: 'announcer', control, counts, ...swarms } satisfies AnnouncerData,
  })
  const exited = once(announcer, 'exit')
  Atomics.wait(control, STARTED, 0)
  try {
    Atomics.store(control, PHASE, 1)
    await new Promise(resolve => setTimeout(resolve, aloneMillis))
    Atomics.store(control, PHASE, 2)
    await work()
  } finally {
    Atomics.store(control, PHASE, END)
    await exited
  }
  const [, alone, beside] = counts.map(histogram => createLatencies(histogram))
  return { alone: alone as Latencies, beside: beside as Latencies }
}

if (!isMainThread && (workerData as AnnouncerData | undefined)?.role === 'announcer') {
  announceAndCount(workerData as AnnouncerData)
}
