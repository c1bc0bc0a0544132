import { answer } from '../../src/engine/answer.ts'
import {
  createTables,
  type Engine,
  type EngineSettings,
  openEngine,
} from '../../src/engine/engine.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { totals } from '../../src/engine/totals.ts'
import { createLog } from '../../src/log.ts'
import { adviseHugePages } from '../../src/native/huge-pages.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES } from '../../src/protocol/records.ts'
import { nanosEach } from '../measure.ts'
import { bySize, createRows, type Plan, type Run, type Scenario } from '../scenario.ts'
import { NOW, SETTINGS, writeClient } from './clients.ts'

const REPLY_BYTES = 16_384
/** Bytes of address space for each peer: more than it needs. */
const BYTES_RESERVED = 160

/** Bytes of address space that hold so many peers. */
export function memoryFor(peers: number): number {
  return Math.max(64 * 2 ** 20, peers * BYTES_RESERVED)
}

/** Swarms that are filled, and announces of their members, one thread. */
export type FilledEngine = { readonly engine: Engine; announce(count: number): number }

/**
 * Enters all peers and returns how to announce for random ones of them: `announce` returns
 * nanoseconds of processor time for each.
 */
export function fillEngine(
  torrents: number,
  peers: number,
  hugePages = false,
  settings: EngineSettings = SETTINGS,
): FilledEngine {
  const tables = createTables(memoryFor(peers))
  if (hugePages)
    adviseHugePages(tables.arenas, createLog({ level: 'warn', format: 'json' }, 'bench'))
  const engine = openEngine(tables, settings)
  const request = allocate(ANNOUNCE_BYTES)
  const reply = allocate(REPLY_BYTES)
  const random = createRandom(42)
  for (let client = 0; client < peers; client++) {
    writeClient(request, client, torrents)
    answer(engine, request, 0, reply, 0, NOW)
  }
  return {
    engine,
    announce: count =>
      nanosEach(count, () => {
        for (let n = 0; n < count; n++) {
          writeClient(request, randomBelow(random, peers), torrents)
          answer(engine, request, 0, reply, 0, NOW)
        }
      }),
  }
}

/**
 * Memory per peer that stripes have allocated, and the part in use; the rest is untouched, or free
 * between lists.
 */
export function bytesOfPeers(engine: Engine): Run {
  const { bytesTaken, bytesUsed, peers } = totals(engine)
  const count = peers[0] + peers[1]
  return {
    bytesPerPeer: bytesTaken / count,
    bytesInUse: bytesUsed.reduce((sum, bytes) => sum + bytes, 0) / count,
  }
}

/** Cache lines that an announce of a small swarm has to fetch, roughly. */
const BARE_LINES = 4
const BARE_ANSWER_WORDS = 50

/**
 * The least that an announce could do: write the request, look at as many cold cache lines, copy an
 * answer of as many peers.
 */
export function bareLoop(peers: number): (count: number) => number {
  const memory: Bytes = allocate(2 ** Math.floor(Math.log2(peers * BYTES_RESERVED)))
  const request = allocate(ANNOUNCE_BYTES)
  const reply = allocate(REPLY_BYTES)
  const random = createRandom(42)
  memory.u8.fill(1)
  const mask = (memory.u8.length - 1) & ~63
  return count =>
    nanosEach(count, () => {
      for (let n = 0; n < count; n++) {
        writeClient(request, randomBelow(random, peers), 10_000)
        let at = 0
        let line = n
        for (let look = 0; look < BARE_LINES; look++) {
          line = Math.imul(line + look + (memory.u8[at] as number), 0x9e3779b1)
          at = line & mask
        }
        at = Math.min(at, memory.u8.length - BARE_ANSWER_WORDS * 4)
        memory.view.setUint32(at, n, true)
        for (let word = 0; word < BARE_ANSWER_WORDS; word++) {
          reply.view.setInt32(word * 4, memory.view.getInt32(at + word * 4, true), true)
        }
      }
    })
}

type Sizes = readonly (readonly [torrents: number, peers: number])[]

function sizesOf(plan: Plan): Sizes {
  const full: Sizes = [
    [1000, 10_000],
    [10_000, 1_000_000],
    [1_000_000, 5_000_000],
    [1, 1_000_000],
  ]
  return bySize(plan, full, full.slice(0, 2), [[100, 1000]])
}

/** How a row of swarms is called. */
export function swarmsName(torrents: number, peers: number): string {
  return `${torrents} torrents, ${peers} peers`
}

export const engine: Scenario = {
  name: 'engine',
  about: 'the tables alone, one thread, numwant 50: many small swarms, few large, one huge',
  secondsMax: 180,
  async run(plan) {
    const count = bySize(plan, 2_000_000, 500_000, 1000)
    const rows = createRows()
    for (const [torrents, peers] of sizesOf(plan)) {
      const { engine, announce } = fillEngine(torrents, peers)
      announce(count / 10)
      for (let round = 0; round < plan.runs; round++) {
        const nanos = announce(count)
        const run: Run = { nanos, perCore: 1e9 / nanos, ...bytesOfPeers(engine) }
        rows.add(swarmsName(torrents, peers), run)
      }
    }
    return {
      title: 'The engine alone, in process',
      options: { announces: count, numwant: 50 },
      rows: rows.rows,
      notes: ['CPU time of one thread, including the creation of the request.'],
    }
  },
}
