import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { answer, createTables, type EngineTables, openEngine } from '../../src/engine/engine.ts'
import { createExportCursor, exportPiece } from '../../src/engine/export-stripe.ts'
import { viewArena } from '../../src/engine/tables/arena.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { RECORD_BYTES_MAX } from '../../src/engine/torrent-record.ts'
import * as record from '../../src/protocol/announce-record.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'
import { createSnapshotPool } from '../../src/snapshot/pool.ts'
import { SETTINGS, writeClient } from './engine.ts'

const NOW = 1_700_000_000
/** Buckets of the latency histogram: an eighth of an octave each, from 1 ns. */
const BUCKETS = 8 * 34

/** Word of the control array. */
const PHASE = 0
const STARTED = 1
const END = -1

type AnnouncerData = {
  readonly role: 'announcer'
  readonly tables: EngineTables
  readonly torrents: number
  readonly peers: number
  readonly control: Int32Array<SharedArrayBuffer>
  /** A histogram per phase. */
  readonly counts: Uint32Array<SharedArrayBuffer>
}

/** As writeClient, but every torrent has a peer: the first clients are one each. */
function writeMember(request: Bytes, client: number, torrents: number): void {
  writeClient(request, client, torrents)
  if (client >= torrents) return
  request.view.setUint32(record.INFO_HASH, Math.imul(client, 0x85ebca6b), true)
  request.view.setUint32(record.INFO_HASH + 4, client, true)
}

/** Announces for random clients without a pause and counts how long each announce takes, in the histogram of the phase. */
function announceAndCount({ tables, torrents, peers, control, counts }: AnnouncerData): void {
  const engine = openEngine(tables, SETTINGS)
  const random = createRandom(7)
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  for (let n = 0; ; n++) {
    const phase = Atomics.load(control, PHASE)
    if (phase === END) return
    writeMember(request, randomBelow(random, peers), torrents)
    const begun = performance.now()
    answer(engine, request, 0, reply, 0, NOW + 1)
    const nanos = (performance.now() - begun) * 1e6
    const bucket = phase * BUCKETS + Math.floor(Math.log2(Math.max(1, nanos)) * 8)
    counts[bucket] = (counts[bucket] as number) + 1
    if (n === 100_000) {
      Atomics.store(control, STARTED, 1)
      Atomics.notify(control, STARTED)
    }
  }
}

function quantileMicros(counts: Uint32Array, phase: number, quantile: number): number {
  const histogram = counts.subarray(phase * BUCKETS, (phase + 1) * BUCKETS)
  let left = histogram.reduce((sum, count) => sum + count, 0) * quantile
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    left -= histogram[bucket] as number
    if (left <= 0) return 2 ** ((bucket + 1) / 8) / 1000
  }
  return Number.NaN
}

/** Runs `work` with announces going on beside it, and before it for as long alone; tells what each announce took. */
async function besideAnnounces(
  name: string,
  data: Omit<AnnouncerData, 'role' | 'control' | 'counts'>,
  aloneMillis: number,
  work: () => Promise<unknown>,
): Promise<void> {
  const control = new Int32Array(new SharedArrayBuffer(8))
  const counts = new Uint32Array(new SharedArrayBuffer(3 * BUCKETS * 4))
  const announcer = new Worker(new URL(import.meta.url), {
    workerData: { role: 'announcer', control, counts, ...data } satisfies AnnouncerData,
  })
  const exited = once(announcer, 'exit')
  Atomics.wait(control, STARTED, 0)
  Atomics.store(control, PHASE, 1)
  await work()
  Atomics.store(control, PHASE, 2)
  await new Promise(resolve => setTimeout(resolve, aloneMillis))
  Atomics.store(control, PHASE, END)
  await exited
  const row = (phase: number) =>
    [0.5, 0.99, 0.999, 0.9999]
      .map(quantile => quantileMicros(counts, phase, quantile).toFixed(1).padStart(7))
      .join(' ')
  const ratio = quantileMicros(counts, 1, 0.99) / quantileMicros(counts, 2, 0.99)
  console.log(`  announces beside ${name}, µs at p50 p99 p99.9 p99.99: ${row(1)}`)
  console.log(`  the same without it:                    ${row(2)}; p99 ratio ${ratio.toFixed(2)}`)
}

/** How long a stripe is held for a piece, nobody else about. */
function measurePieces(tables: EngineTables): void {
  const open = { ...tables, arenas: tables.arenas.map(viewArena) }
  const out = allocate(1024 * 1024)
  const micros: number[] = []
  for (let stripe = 0; stripe < tables.stripeCount; stripe++) {
    const cursor = createExportCursor(stripe)
    for (let at = 0; !cursor.done; ) {
      if (out.u8.length - at < RECORD_BYTES_MAX) at = 0
      const begun = performance.now()
      at = exportPiece(open, cursor, out, at)
      micros.push((performance.now() - begun) * 1000)
    }
  }
  micros.sort((a, b) => a - b)
  const at = (quantile: number) =>
    (micros[Math.floor((micros.length - 1) * quantile)] ?? 0).toFixed(0)
  console.log(
    `  a stripe is held for ${at(0.5)} µs at p50, ${at(0.99)} at p99, ${at(1)} at most, ${micros.length} times`,
  )
}

async function measure(torrents: number, peers: number, aloneMillis: number): Promise<void> {
  const memory = Math.max(64 * 2 ** 20, peers * 160)
  const tables = createTables(memory)
  const engine = openEngine(tables, SETTINGS)
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  for (let client = 0; client < peers; client++) {
    writeMember(request, client, torrents)
    request.view.setUint16(record.NUMWANT, 0, true)
    answer(engine, request, 0, reply, 0, NOW)
  }
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  const pool = createSnapshotPool()
  const file = join(folder, 'swarms')
  try {
    console.log(`${peers} peers in ${torrents} torrents`)
    measurePieces(tables)
    const told = (verb: string, { millis }: { millis: number }) =>
      console.log(`  ${verb} in ${(millis / 1000).toFixed(2)} s`)
    const alone = await pool.write({ tables, file, nowSeconds: NOW })
    console.log(`  ${(alone.bytes / 1e6).toFixed(0)} MB, ${alone.torrents} torrents`)
    told('written', alone)
    await besideAnnounces('a write', { tables, torrents, peers }, aloneMillis, async () =>
      told('written beside announces', await pool.write({ tables, file, nowSeconds: NOW })),
    )
    const settings = SETTINGS
    const empty = { tables: createTables(memory), settings, file, nowSeconds: NOW }
    told('restored', await pool.restore(empty))
    const serving = createTables(memory)
    await besideAnnounces(
      'a restore',
      { tables: serving, torrents, peers },
      aloneMillis,
      async () =>
        told('restored beside announces', await pool.restore({ ...empty, tables: serving })),
    )
  } finally {
    await pool.close()
    rmSync(folder, { recursive: true })
  }
}

/** Snapshots of many swarms and of one huge one: time, size, and what announces on another thread feel of it. */
export async function run(smoke: boolean): Promise<void> {
  const sizes = smoke
    ? [[100, 10_000] as const]
    : ([
        [1_000_000, 5_000_000],
        [1, 1_000_000],
      ] as const)
  for (const [torrents, peers] of sizes) await measure(torrents, peers, smoke ? 50 : 5000)
}

if (!isMainThread && (workerData as AnnouncerData | undefined)?.role === 'announcer') {
  announceAndCount(workerData as AnnouncerData)
}
