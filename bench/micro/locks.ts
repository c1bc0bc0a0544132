import { answer } from '../../src/engine/answer.ts'
import {
  createTables,
  type Engine,
  type EngineTables,
  openEngine,
} from '../../src/engine/engine.ts'
import { createExportCursor, exportChunk } from '../../src/engine/export-stripe.ts'
import { readPeers } from '../../src/engine/read-peers.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { RECORD_BYTES_MAX } from '../../src/engine/torrent-record.ts'
import { allocate, type Bytes } from '../../src/protocol/bytes.ts'
import { ANNOUNCE_BYTES, EVENT, Event, INFO_HASH, LEFT } from '../../src/protocol/records.ts'
import { quantile } from '../measure.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { NOW, SETTINGS, writeClient } from './clients.ts'
import { memoryFor } from './engine.ts'

const REPLY_BYTES = 16_384
const PIECE_BYTES = 2 ** 20
/** Peers that the API reads at once. */
const PAGE_PEERS = 100
/** Repetitions must meet the same steps, so the hashes must be the same. */
const HASH_KEY = [7, 11] as const

/**
 * Microseconds of every step of an operation, the least of all repetitions. A repetition does the
 * same at each step, so a step that is long each time is long by itself: one that was interrupted,
 * or waited for the garbage collector, does not count.
 */
type Steps = { least: Float32Array; next: number; count: number }

/** Objects allocated before a repetition, so that it meets the garbage collector elsewhere. */
const GARBAGE = 123_457

class Clock {
  readonly operations = new Map<string, Steps>()
  #repetitions = 0
  /** Objects that the compiler must not leave out. */
  garbage: object[] = []

  /** Starts another repetition. */
  again(): void {
    for (const steps of this.operations.values()) steps.next = 0
    for (let n = 0; n < this.#repetitions * GARBAGE; n++)
      this.garbage = [this.garbage.length, n].map(Object)
    this.#repetitions++
  }

  /** Carries out the next step of an operation and returns its result. */
  time<Result>(operation: string, step: () => Result): Result {
    const steps = this.#stepsOf(operation)
    const begun = performance.now()
    const result = step()
    this.#record(steps, (performance.now() - begun) * 1000)
    return result
  }

  #record(steps: Steps, micros: number): void {
    const { next, count } = steps
    if (next === steps.least.length) {
      const larger = new Float32Array(next * 2)
      larger.set(steps.least)
      steps.least = larger
    }
    steps.least[next] = next < count ? Math.min(steps.least[next] ?? micros, micros) : micros
    steps.next++
    steps.count = Math.max(count, steps.next)
  }

  #stepsOf(operation: string): Steps {
    const known = this.operations.get(operation)
    if (known) return known
    const made: Steps = { least: new Float32Array(1024), next: 0, count: 0 }
    this.operations.set(operation, made)
    return made
  }
}

/** An engine, a request, and what measures. */
type Bench = {
  readonly tables: EngineTables
  readonly engine: Engine
  readonly request: Bytes
  readonly reply: Bytes
  readonly clock: Clock
  readonly peers: number
}

function openBench(clock: Clock, peers: number): Bench {
  const tables = { ...createTables(memoryFor(peers)), hashKey: HASH_KEY }
  return {
    tables,
    engine: openEngine(tables, SETTINGS),
    request: allocate(ANNOUNCE_BYTES),
    reply: allocate(REPLY_BYTES),
    clock,
    peers,
  }
}

/** Announces a client of the only torrent, as `change` alters the request. */
function announce(bench: Bench, operation: string, client: number, change?: () => void): void {
  const { clock, engine, request, reply } = bench
  request.u8[EVENT] = Event.none
  writeClient(request, client, 1)
  change?.()
  clock.time(operation, () => answer(engine, request, 0, reply, 0, NOW))
}

/** Inserts the peers of one torrent, announces them again, changes them, and removes half. */
function announceAll(bench: Bench): void {
  const { peers, request } = bench
  for (let client = 0; client < peers; client++) announce(bench, 'new peer', client)
  const random = createRandom(3)
  for (let n = 0; n < peers / 4; n++) announce(bench, 'known peer', randomBelow(random, peers))
  const setLeft = (left: number) => () => request.view.setUint32(LEFT, left, true)
  for (let n = 0; n < peers / 4; n++) {
    const client = randomBelow(random, peers)
    announce(bench, 'seeder becomes leecher', client, setLeft(n & 1 ? 0 : 1))
  }
}

/** Sweeps the torrent's stripe until its end. */
function sweepAll({ engine, clock }: Bench, operation: string, nowSeconds: number): void {
  const cursor = createSweepCursor(0, 1)
  for (let stripe = 0; stripe < engine.stripeCount; ) {
    if (clock.time(operation, () => sweepSlice(engine, cursor, nowSeconds))) stripe++
  }
}

function exportAll({ engine, clock }: Bench): void {
  const out = allocate(PIECE_BYTES)
  for (let stripe = 0; stripe < engine.stripeCount; stripe++) {
    const cursor = createExportCursor(stripe)
    for (let at = 0; !cursor.done; ) {
      if (out.u8.length - at < RECORD_BYTES_MAX) at = 0
      at = clock.time('chunk of a snapshot', () => exportChunk(engine, cursor, out, at))
    }
  }
}

function readPages({ engine, clock, request, peers }: Bench): void {
  writeClient(request, 0, 1)
  const hash = request.u8.slice(INFO_HASH, INFO_HASH + 20)
  const pages = Math.min(1000, peers / PAGE_PEERS)
  for (let cursor = 0, page = 0; cursor !== -1 && page < pages; page++) {
    cursor = clock.time('page of the API', () => readPeers(engine, hash, cursor, PAGE_PEERS)).next
  }
}

function repeatOneTorrent(clock: Clock, peers: number): void {
  const bench = openBench(clock, peers)
  announceAll(bench)
  sweepAll(bench, 'slice of a sweep', NOW + 1)
  exportAll(bench)
  readPages(bench)
  for (let client = 0; client < peers; client += 2) {
    announce(bench, 'peer stops', client, () => {
      bench.request.u8[EVENT] = Event.stopped
    })
  }
  sweepAll(bench, 'slice of a sweep, all expired', NOW + SETTINGS.peersTimeout + 1)
}

/** Announces as many torrents as there were peers, with a peer each. */
function repeatManyTorrents(clock: Clock, torrents: number): void {
  const { engine, request, reply } = openBench(clock, torrents)
  request.u8[EVENT] = Event.none
  for (let client = 0; client < torrents; client++) {
    writeClient(request, client, torrents)
    request.view.setUint32(INFO_HASH + 4, client, true)
    clock.time('new torrent', () => answer(engine, request, 0, reply, 0, NOW))
  }
}

export const locks: Scenario = {
  name: 'locks',
  about: 'the longest time that an operation holds a lock, with a torrent of a million peers',
  secondsMax: 240,
  async run(plan) {
    const peers = bySize(plan, 1_000_000, 200_000, 2000)
    const clock = new Clock()
    for (let repetition = 0; repetition < plan.runs; repetition++) {
      clock.again()
      repeatOneTorrent(clock, peers)
      repeatManyTorrents(clock, peers)
    }
    const rows = createRows()
    for (const [operation, steps] of clock.operations) {
      const least = [...steps.least.subarray(0, steps.count)]
      rows.add(operation, {
        heldMaxMicros: least.reduce((most, micros) => Math.max(most, micros), 0),
        heldMicros: quantile(least, 0.99),
      })
    }
    return {
      title: 'Longest time under a lock',
      options: { peers, repetitions: plan.runs },
      rows: rows.rows,
      notes: [
        `One torrent of ${peers} peers, except for "new torrent": ${peers} torrents. Each step is repeated ${plan.runs} times in new tables, and its shortest time counts. The times of announces and pages include their work outside of the lock.`,
      ],
    }
  },
}
