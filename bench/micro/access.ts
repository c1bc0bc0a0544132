import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NO_RULES } from '../../src/engine/access.ts'
import { answer } from '../../src/engine/answer.ts'
import { createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import * as record from '../../src/protocol/records.ts'
import { nanosEach } from '../measure.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { NOW, SETTINGS } from './clients.ts'

const NUMWANT = 50
const TORRENTS = 10_000
const OPEN = 'without a list'

type Sizes = { readonly listed: number; readonly peers: number; readonly announces: number }

function engineWith(whitelist: boolean): Engine {
  return openEngine(createTables(2 ** 30, { ...NO_RULES, whitelist }), SETTINGS)
}

/**
 * Nanoseconds of processor time of an announce of a random peer. The first pass covers each peer.
 */
function announce(engine: Engine, hashes: readonly Buffer[], sizes: Sizes, fill: boolean): number {
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  const random = createRandom(7)
  const count = fill ? sizes.peers : sizes.announces
  request.u8[record.KIND] = record.Kind.announce
  request.view.setUint16(record.PORT, 6881, true)
  request.view.setUint16(record.NUMWANT, NUMWANT, true)
  return nanosEach(count, () => {
    for (let n = 0; n < count; n++) {
      const peer = fill ? n : randomBelow(random, sizes.peers)
      request.u8.set(hashes[peer % TORRENTS] as Buffer, record.INFO_HASH)
      request.view.setUint32(record.PEER_ID + 16, peer, true)
      request.view.setUint32(record.ADDRESS, 0x0a000000 + peer)
      request.view.setUint32(record.LEFT, peer % 10 < 7 ? 0 : 1, true)
      answer(engine, request, 0, reply, 0, NOW)
    }
  })
}

/** Stores a whitelist in SQLite and loads it as at a start. Returns the engine and the seconds. */
async function loadWhitelist(hashes: readonly Buffer[], listed: number) {
  // Imported late, because the other scenarios do not need the slow database libraries.
  const { createList } = await import('../../src/admin/lists.ts')
  const { loadConfig } = await import('../../src/config/load.ts')
  const { openDatabase } = await import('../../src/database/open.ts')
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  const { database, database_structure: structure } = loadConfig({ environment: {} }).config
  const path = `sqlite://${join(folder, 'bench.db')}`
  const opened = await openDatabase({ ...database, path }, structure)
  try {
    await opened.createTables()
    const others = Array.from({ length: Math.max(0, listed - TORRENTS) }, () => randomBytes(20))
    await opened.whitelist.save(
      [...hashes, ...others].map(hash => ({ hash: hash.toString('hex') })),
    )
    const engine = engineWith(true)
    const begun = performance.now()
    await createList('whitelist', () => true, engine.access.whitelist, opened.whitelist).load()
    return { engine, loadSeconds: (performance.now() - begun) / 1000 }
  } finally {
    await opened.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

export const access: Scenario = {
  name: 'access',
  about: 'loading a whitelist of 1M entries, and the cost of its check per announce',
  secondsMax: 180,
  async run(plan) {
    const few = { listed: 2000, peers: 2000, announces: 2000 }
    const some = { listed: 100_000, peers: 200_000, announces: 300_000 }
    const many = { listed: 1_000_000, peers: 1_000_000, announces: 1_000_000 }
    const sizes: Sizes = bySize(plan, many, some, few)
    const hashes = Array.from({ length: TORRENTS }, () => randomBytes(20))
    const open = engineWith(false)
    const { engine: listed, loadSeconds } = await loadWhitelist(hashes, sizes.listed)
    const rows = createRows()
    for (const engine of [open, listed]) announce(engine, hashes, sizes, true)
    for (let round = 0; round < plan.runs; round++) {
      rows.add(OPEN, { nanos: announce(open, hashes, sizes, false) })
      rows.add(`a whitelist of ${sizes.listed}`, {
        nanos: announce(listed, hashes, sizes, false),
        loadSeconds,
      })
    }
    return {
      title: 'Access lists',
      options: sizes,
      rows: rows.rows,
      base: { name: OPEN, metric: 'nanos' },
      notes: ['The list is loaded once, from SQLite.'],
    }
  },
}
