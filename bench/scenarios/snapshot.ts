import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { WRITE_SHARE } from '../../src/app/snapshots.ts'
import { createTables, type EngineTables, openTables } from '../../src/engine/engine.ts'
import { createExportCursor, exportChunk } from '../../src/engine/export-stripe.ts'
import { RECORD_BYTES_MAX } from '../../src/engine/torrent-record.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { SnapshotPool } from '../../src/snapshot/pool.ts'
import { quantile } from '../measure.ts'
import { NOW, SETTINGS } from '../micro/clients.ts'
import { memoryFor } from '../micro/engine.ts'
import { besideInPlace } from '../micro/in-place.ts'
import { benchFolder } from '../rivals/muster.ts'
import { bySize, createRows, type Plan, type Rows, type Scenario } from '../scenario.ts'
import { BESIDE_RATE, besideLink, besideRun } from './beside.ts'
import { filledTables } from './engine-host.ts'

const PIECE_BYTES = 2 ** 20

/** Microseconds that a stripe is held for a chunk of a snapshot at p99, without other load. */
function heldMicros(tables: EngineTables): number {
  const open = openTables(tables)
  const out = allocate(PIECE_BYTES)
  const micros: number[] = []
  for (let stripe = 0; stripe < tables.stripeCount; stripe++) {
    const cursor = createExportCursor(stripe)
    for (let at = 0; !cursor.done; ) {
      if (out.u8.length - at < RECORD_BYTES_MAX) at = 0
      const begun = performance.now()
      at = exportChunk(open, cursor, out, at)
      micros.push((performance.now() - begun) * 1000)
    }
  }
  return quantile(micros, 0.99)
}

const KEPT_MILLIS = 600_000

type Swarms = { readonly tables: EngineTables; readonly torrents: number; readonly peers: number }

/** One round: alone, then beside announces in the tables and over the link. */
async function measureRound(
  rows: Rows,
  swarms: Swarms,
  pool: SnapshotPool,
  file: string,
  aloneMillis: number,
): Promise<void> {
  const { tables, torrents, peers } = swarms
  let millis = 0
  const write = async () => {
    ;({ millis } = await pool.write({ tables, file, nowSeconds: NOW, share: WRITE_SHARE }))
  }
  const restoreInto = (into: EngineTables) => async () => {
    const request = { tables: into, settings: SETTINGS, file, nowSeconds: NOW }
    ;({ millis } = await pool.restore(request))
  }
  const empty = () => createTables(memoryFor(peers))
  const name = `${peers} peers in ${torrents} torrents`
  await write()
  const writeSeconds = millis / 1000
  await restoreInto(empty())()
  rows.add(name, {
    writeSeconds,
    restoreSeconds: millis / 1000,
    heldMicros: heldMicros(tables),
  })
  const inPlace = async (what: string, on: Swarms, key: string, work: () => Promise<void>) => {
    const { alone, beside } = await besideInPlace(on, aloneMillis, work)
    rows.add(`${what}, announces in the tables`, {
      ...besideRun(alone, beside),
      [key]: millis / 1000,
    })
  }
  const overLink = async (what: string, on: Swarms, key: string, work: () => Promise<void>) => {
    const run = await besideLink({ ...on, aloneMillis, seed: 1 }, work)
    rows.add(`${what}, announces over the link`, { ...run, [key]: millis / 1000 })
  }
  await inPlace(`write of ${name}`, swarms, 'writeSeconds', write)
  await overLink(`write of ${name}`, swarms, 'writeSeconds', write)
  for (const measure of [inPlace, overLink]) {
    const into = empty()
    const on = { ...swarms, tables: into }
    await measure(`restore of ${name}`, on, 'restoreSeconds', restoreInto(into))
  }
}

function sizesOf(plan: Plan): readonly (readonly [torrents: number, peers: number])[] {
  return bySize(
    plan,
    [
      [1_000_000, 5_000_000],
      [1, 1_000_000],
    ],
    [[200_000, 1_000_000]],
    [[100, 10_000]],
  )
}

export const snapshot: Scenario = {
  name: 'snapshot',
  about: 'writing and restoring 5M peers, and the p99 of announces meanwhile',
  secondsMax: 480,
  async run(plan) {
    const rows = createRows()
    const folder = benchFolder()
    // Here the frontend's thread would start the snapshot's thread, and be measured while it does.
    const pool = new SnapshotPool(KEPT_MILLIS)
    const rounds = Math.ceil(plan.runs / 2)
    try {
      for (const [torrents, peers] of sizesOf(plan)) {
        const swarms = { tables: filledTables(torrents, peers), torrents, peers }
        for (let round = 0; round < rounds; round++) {
          const file = join(folder, `swarms-${torrents}`)
          await measureRound(rows, swarms, pool, file, plan.seconds * 500)
        }
      }
    } finally {
      await pool.close()
      rmSync(folder, { recursive: true, force: true })
    }
    return {
      title: 'Snapshots',
      options: { rounds, rate: BESIDE_RATE },
      rows: rows.rows,
      notes: [
        `"In the tables": a thread that announces without a pause, such as a UDP thread. "Over the link": ${BESIDE_RATE} announces per second from a frontend. Three threads share the processors while a snapshot is written.`,
      ],
    }
  },
}
