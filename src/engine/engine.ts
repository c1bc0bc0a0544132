import { randomBytes } from 'node:crypto'
import {
  type Access,
  type AccessRules,
  createAccess,
  NO_RULES,
  openAccess,
  type SharedAccess,
} from './access.ts'
import { type AccountResult, createAccountResult } from './account-result.ts'
import type { Accounting } from './accounting.ts'
import { assertLayouts } from './assert-layouts.ts'
import { type Announce, createAnnounce } from './current-announce.ts'
import { createDeadWorkers, type DeadWorkers, openDeadWorkers } from './dead-workers.ts'
import type { DeltaRing } from './delta-ring.ts'
import { createEventLog, type EventLog, openEventLog, type SharedEventLog } from './event-log.ts'
import type { Growth } from './growth.ts'
import {
  createLimits,
  type LimitSettings,
  type Limits,
  openLimits,
  type SharedLimits,
} from './policy.ts'
import {
  createSessions,
  openSessions,
  type SessionKey,
  type Sessions,
  type SharedSessions,
} from './session-layout.ts'
import { type Arena, reserveTables, type SharedTables, viewArena } from './tables/arena.ts'
import { type AddressSurvey, createAddressSurvey } from './tables/count-address.ts'
import { createRecipient, type Recipient } from './tables/hand-out.ts'
import { createLeases, type Leases, openLeases } from './tables/lease.ts'
import { createPicks, type Picks } from './tables/pick.ts'
import { createRandom, type Random } from './tables/random.ts'
import { createHeldStripe, type HeldStripe, type Stripes } from './tables/stripe.ts'

export type EngineSettings = {
  /** Store torrents in the database, and mark those whose completed count changes. */
  readonly persistent: boolean
  /** Mark torrents whose numbers of peers change, too. */
  readonly notePeers: boolean
  /** Other nodes write to the same database, each one the downloads that it counted first. */
  readonly sharesDatabase: boolean
  /** Seconds between a client's announces. */
  readonly interval: number
  /** Percent of `interval` that is added at random, so that clients do not announce in step. */
  readonly intervalJitterPercent: number
  /** Seconds without an announce after which a peer is removed. */
  readonly peersTimeout: number
  readonly limits: LimitSettings
  readonly accounting: Accounting
}

/** One thread's engine: its views of the shared tables, and the objects that it reuses. */
export type Engine = Stripes & {
  readonly held: HeldStripe
  readonly announce: Announce
  settings: EngineSettings
  /** One per family whose addresses a response contains. */
  readonly picks: readonly [Picks, Picks]
  readonly recipient: Recipient
  readonly survey: AddressSurvey
  readonly access: Access
  readonly sessions: Sessions
  /** Result of `touchAnnounce`, without a meaning. */
  touched: number
  /** Reused for each lookup of a session, and of a torrent's correction. */
  readonly sessionKey: SessionKey
  readonly correctionKey: SessionKey
  readonly account: AccountResult
  readonly growth: Growth
  readonly deadWorkers: DeadWorkers
  readonly leases: Leases
  /** Undefined where no events are recorded. */
  readonly events: EventLog | undefined
  limits: Limits
  readonly random: Random
  /** Deltas of this thread's announces for other nodes; undefined where there are none. */
  ring: DeltaRing | undefined
}

/** The tables of swarms alone, as a thread needs them to read or fill them. */
export type OpenTables = Stripes & { readonly held: HeldStripe }

/** Sessions that fit, unless the configuration says otherwise. */
export const SESSIONS_MAX = 1_000_000

/** The settings that a reload changes in a running engine. */
export type EngineRules = { readonly settings: EngineSettings; readonly access: AccessRules }

/** The shared memory of an engine: swarms, access lists, limits, dead workers and leases. */
export type EngineTables = SharedTables & {
  readonly access: SharedAccess
  readonly sessions: SharedSessions
  readonly deadWorkers: SharedArrayBuffer
  readonly leases: SharedArrayBuffer
  readonly limits: SharedLimits
  readonly events: SharedEventLog | undefined
}

/**
 * Reserves `memoryBytes` of address space for swarms, and the tables that the rules need. With
 * `events` it records so many events that wait to be taken. `isShared`: several nodes credit the
 * same users. Every thread passes the result to `openEngine`.
 */
export function createTables(
  memoryBytes: number,
  rules: AccessRules = NO_RULES,
  sessionsMax = SESSIONS_MAX,
  events = 0,
  isShared = false,
): EngineTables {
  assertLayouts()
  const hashKey = [randomBytes(4).readUInt32LE(), randomBytes(4).readUInt32LE()] as const
  return {
    ...reserveTables(memoryBytes, hashKey),
    access: createAccess(rules, hashKey),
    sessions: createSessions(sessionsMax, hashKey, isShared),
    deadWorkers: createDeadWorkers(),
    leases: createLeases(),
    limits: createLimits(),
    events: events > 0 ? createEventLog(events) : undefined,
  }
}

/** The large tables, of swarms and of users, whose memory is used from the beginning. */
export function largeMemories({ access, arenas, sessions }: EngineTables): SharedArrayBuffer[] {
  return [...arenas, access.users, access.userKeys.memory, sessions.indexMemory, ...sessions.banks]
}

/** Opens the tables of swarms in this thread. */
export function openTables({ arenas, sources, ...shared }: SharedTables): OpenTables {
  const { stripeCount, hashKey } = shared
  const stripes: Stripes = {
    arenas: arenas.map(viewArena),
    stripeCount,
    hashKey,
    sources: new Int32Array(sources),
  }
  return { ...stripes, held: createHeldStripe(stripes) }
}

export function openEngine(tables: EngineTables, settings: EngineSettings): Engine {
  const open = openTables(tables)
  const random = createRandom(randomBytes(4).readInt32LE())
  const arena = open.arenas[0] as Arena
  const announce = createAnnounce()
  const access = openAccess(tables.access)
  const leases = openLeases(tables.leases)
  const { view } = announce.request
  return {
    ...open,
    announce,
    access,
    sessions: openSessions(tables.sessions, access.users),
    touched: 0,
    sessionKey: { user: 0, hash: 0, view, hashAt: 0, idAt: 0 },
    correctionKey: { user: 0, hash: 0, view, hashAt: 0, idAt: 0 },
    account: createAccountResult(),
    growth: { up: 0, down: 0, isIdle: false, silence: 0 },
    deadWorkers: openDeadWorkers(tables.deadWorkers),
    leases,
    events: tables.events && openEventLog(tables.events),
    limits: openLimits(tables.limits, settings.limits, memoryOf(tables)),
    settings,
    picks: [createPicks(random, arena, leases), createPicks(random, arena, leases)],
    recipient: createRecipient(arena.view),
    survey: createAddressSurvey(announce.peer),
    random,
    ring: undefined,
  }
}

/** Bytes of the memory for swarms. */
function memoryOf({ arenas }: SharedTables): number {
  return arenas.reduce((bytes, arena) => bytes + arena.byteLength, 0)
}

/** Applies `rules` to this thread's engine from the next request on. */
export function setRules(engine: Engine, tables: EngineTables, rules: EngineRules): void {
  engine.settings = rules.settings
  engine.limits = openLimits(tables.limits, rules.settings.limits, memoryOf(tables))
  engine.access.rules = rules.access
}
