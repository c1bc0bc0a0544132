import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createList } from '../../src/admin/lists.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openDatabase } from '../../src/database/open.ts'
import { NO_RULES } from '../../src/engine/access.ts'
import { answer, createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import * as record from '../../src/protocol/announce-record.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { median } from '../measure.ts'

const SETTINGS = {
  interval: 1800,
  intervalJitterPercent: 10,
  peersTimeout: 2700,
  persistent: false,
  notePeers: false,
}
const NOW = 1_700_000_000
const NUMWANT = 50
const PEERS = 1_000_000
const TORRENTS = 10_000

type Sizes = { readonly listed: number; readonly peers: number; readonly announces: number }

function engineWith(whitelist: boolean): Engine {
  return openEngine(createTables(2 ** 30, { ...NO_RULES, whitelist }), SETTINGS)
}

/** Nanoseconds of processor time for an announce of a random peer, or in the first pass of each. */
function announce(engine: Engine, hashes: readonly Buffer[], sizes: Sizes, fill: boolean): number {
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  const random = createRandom(7)
  const count = fill ? sizes.peers : sizes.announces
  request.u8[record.KIND] = record.Kind.announce
  request.view.setUint16(record.PORT, 6881, true)
  request.view.setUint16(record.NUMWANT, NUMWANT, true)
  const begun = process.cpuUsage()
  for (let n = 0; n < count; n++) {
    const peer = fill ? n : randomBelow(random, sizes.peers)
    request.u8.set(hashes[peer % TORRENTS] as Buffer, record.INFO_HASH)
    request.view.setUint32(record.PEER_ID + 16, peer, true)
    request.view.setUint32(record.ADDRESS, 0x0a000000 + peer)
    request.view.setUint32(record.LEFT, peer % 10 < 7 ? 0 : 1, true)
    answer(engine, request, 0, reply, 0, NOW)
  }
  const { user, system } = process.cpuUsage(begun)
  return ((user + system) * 1000) / count
}

/** Keeps a whitelist in SQLite, loads it as a start does, and measures announces with and without it, in turn. */
export async function run(smoke: boolean): Promise<void> {
  const sizes: Sizes = smoke
    ? { listed: 2000, peers: 2000, announces: 2000 }
    : { listed: 1_000_000, peers: PEERS, announces: 1_000_000 }
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  const { database, database_structure: structure } = loadConfig({ environment: {} }).config
  const path = `sqlite://${join(folder, 'bench.db')}`
  const opened = await openDatabase({ ...database, path }, structure)
  const hashes = Array.from({ length: TORRENTS }, () => randomBytes(20))
  try {
    await opened.createTables()
    const others = Array.from({ length: Math.max(0, sizes.listed - TORRENTS) }, () =>
      randomBytes(20),
    )
    await opened.whitelist.save(
      [...hashes, ...others].map(hash => ({ hash: hash.toString('hex') })),
    )
    const listed = engineWith(true)
    const begun = performance.now()
    const list = createList('whitelist', true, listed.access.whitelist, opened.whitelist)
    const loaded = await list.load()
    console.log(
      `${loaded} entries loaded from SQLite in ${((performance.now() - begun) / 1000).toFixed(2)} s`,
    )
    compare(engineWith(false), listed, hashes, sizes, smoke ? 1 : 7)
  } finally {
    await opened.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function compare(
  open: Engine,
  listed: Engine,
  hashes: readonly Buffer[],
  sizes: Sizes,
  rounds: number,
): void {
  const times: { open: number[]; listed: number[] } = { open: [], listed: [] }
  announce(open, hashes, sizes, true)
  announce(listed, hashes, sizes, true)
  for (let round = 0; round < rounds; round++) {
    times.open.push(announce(open, hashes, sizes, false))
    times.listed.push(announce(listed, hashes, sizes, false))
  }
  const without = median(times.open)
  const difference = median(times.listed) - without
  console.log(
    `an announce in the engine: ${without.toFixed(0)} ns without, ${(without + difference).toFixed(0)} ns with the whitelist: ${difference.toFixed(0)} ns more`,
  )
}
