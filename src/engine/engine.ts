import { randomBytes } from 'node:crypto'
import type { Bytes } from '../protocol/bytes.ts'
import {
  ENTRY_BYTES,
  FAMILY,
  HASH_COUNT,
  KIND,
  Kind,
  NUMWANT,
  REPLY_HEADER_BYTES,
  replyBytesMax,
  SCRAPE_HEADER_BYTES,
} from '../protocol/records.ts'
import {
  type Access,
  type AccessRules,
  createAccess,
  NO_RULES,
  openAccess,
  type SharedAccess,
} from './access.ts'
import { announce } from './announce.ts'
import { leave } from './leave.ts'
import {
  createLimits,
  type LimitSettings,
  type Limits,
  openLimits,
  type SharedLimits,
} from './policy.ts'
import { scrape } from './scrape.ts'
import { type Arena, reserveTables, type SharedTables, viewArena } from './tables/arena.ts'
import { createGoneWorkers, type GoneWorkers, openGoneWorkers } from './tables/gone-workers.ts'
import type { HashKey } from './tables/keyed-hash.ts'
import { createPicks, type Picks } from './tables/pick.ts'
import { createRandom, type Random } from './tables/random.ts'

export type EngineSettings = {
  /** Keep torrents that are in the database, and note what changes for it. */
  readonly persistent: boolean
  /** Note changes of the counts of peers too, and not only of downloads. */
  readonly notePeers: boolean
  /** Seconds between a client's announces. */
  readonly interval: number
  /** Percent of `interval` added at random, so that clients do not come back in step. */
  readonly intervalJitterPercent: number
  /** Seconds without an announce after which a peer is taken out. */
  readonly peersTimeout: number
  readonly limits: LimitSettings
}

/** What one thread answers with: the shared tables as it sees them, and what it has for itself. */
export type Engine = {
  readonly arenas: readonly Arena[]
  readonly stripeCount: number
  readonly hashKey: HashKey
  settings: EngineSettings
  /** One per family that an answer names addresses of. */
  readonly picks: readonly [Picks, Picks]
  readonly access: Access
  readonly goneWorkers: GoneWorkers
  limits: Limits
  readonly random: Random
}

/** What a running engine can be told anew. */
export type EngineRules = { readonly settings: EngineSettings; readonly access: AccessRules }

/** What threads hand each other: swarms, who may announce, and whose connections are gone. */
export type EngineTables = SharedTables & {
  readonly access: SharedAccess
  readonly goneWorkers: SharedArrayBuffer
  readonly limits: SharedLimits
}

/**
 * Reserves `memoryBytes` of address space for swarms, and what the rules need; hand the result to every thread's `openEngine`.
 */
export function createTables(memoryBytes: number, rules: AccessRules = NO_RULES): EngineTables {
  const hashKey = [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()] as const
  return {
    ...reserveTables(memoryBytes, hashKey),
    access: createAccess(rules, hashKey),
    goneWorkers: createGoneWorkers(),
    limits: createLimits(),
  }
}

export function openEngine(tables: EngineTables, settings: EngineSettings): Engine {
  return {
    access: openAccess(tables.access),
    goneWorkers: openGoneWorkers(tables.goneWorkers),
    limits: openLimits(tables.limits, settings.limits),
    arenas: tables.arenas.map(viewArena),
    stripeCount: tables.stripeCount,
    hashKey: tables.hashKey,
    settings,
    picks: [createPicks(), createPicks()],
    random: createRandom(randomBytes(4).readInt32LE()),
  }
}

/** From the next request on, this thread's engine goes by `rules`. */
export function setRules(engine: Engine, tables: EngineTables, rules: EngineRules): void {
  engine.settings = rules.settings
  engine.limits = openLimits(tables.limits, rules.settings.limits)
  engine.access.rules = rules.access
}

/** The most bytes that the reply to the request record at `at` can take. */
export function answerBytesMax(request: Bytes, at: number): number {
  if (request.u8[at + KIND] === Kind.scrape) {
    return SCRAPE_HEADER_BYTES + request.view.getUint16(at + HASH_COUNT, true) * ENTRY_BYTES
  }
  return replyBytesMax(
    request.view.getUint16(at + NUMWANT, true),
    request.u8[at + FAMILY] as number,
  )
}

/**
 * Answers the request record at `at` with a reply record at `replyAt` (announce-record.ts, scrape-record.ts; LENGTH and ID are the link's)
 * and returns its length. `nowSeconds` is Unix time from a clock that does not jump.
 */
export function answer(
  engine: Engine,
  request: Bytes,
  at: number,
  reply: Bytes,
  replyAt: number,
  nowSeconds: number,
): number {
  const kind = request.u8[at + KIND]
  for (let at = replyAt + KIND; at < replyAt + REPLY_HEADER_BYTES; at += 4) {
    reply.view.setInt32(at, 0)
  }
  reply.u8[replyAt + KIND] = kind ?? 0
  if (kind === Kind.scrape) return scrape(engine, request, at, reply, replyAt, nowSeconds)
  if (kind === Kind.leave) {
    leave(engine, request, at)
    return REPLY_HEADER_BYTES
  }
  return announce(engine, request, at, reply, replyAt, nowSeconds)
}
