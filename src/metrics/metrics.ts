import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { LimitName } from '../engine/limits.ts'
import { sumFamilies, type Totals } from '../engine/totals.ts'
import {
  FrontendCounter,
  type FrontendCounters,
  Protocol,
  readFailures,
  readFrontend,
} from '../frontends/counters.ts'

import type { UdpCounter } from '../frontends/udp/counters.ts'

/** Where the numbers come from: plain functions, so that this room knows nobody who starts or stops anything. */
export type MetricSources = {
  /** First part of the original's names. */
  readonly prometheusId: string
  /** Unix seconds. */
  readonly startedSeconds: number
  readonly nowSeconds: () => number
  readonly rules: {
    readonly whitelist: boolean
    readonly blacklist: boolean
    readonly keys: boolean
  }
  readonly totals: () => Totals
  readonly udp: () => Record<keyof typeof UdpCounter, [ipv4: number, ipv6: number]>
  /** Of all processes together. */
  readonly frontends: () => FrontendCounters
  /** Announces that each limit refused. */
  readonly limited: () => Readonly<Record<LimitName, number>>
  readonly entries: () => Readonly<Record<'whitelist' | 'blacklist' | 'keys' | 'users', number>>
  /** Undefined without a database. */
  readonly database: () =>
    | { readonly healthy: boolean; readonly failures: number; readonly writtenSeconds: number }
    | undefined
}

export type Metrics = {
  /** Prometheus' text format. */
  text(): Promise<string>
  /** The same numbers by the names of Torrust-Actix's `/stats`. */
  stats(): Readonly<Record<string, number | boolean>>
}

/** Reads every source when it is asked, and keeps nothing. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'muster_' })
  // Gauges under the names of counters, which Prometheus' own check refuses.
  for (const what of ['handles', 'requests', 'resources']) {
    registry.removeSingleMetric(`muster_nodejs_active_${what}_total`)
  }
  const id = sources.prometheusId
  const gauges = new Gauge({
    name: `${id}_gauge`,
    help: 'Numbers of this moment, as Torrust-Actix names them.',
    labelNames: ['metric'],
    registers: [registry],
  })
  const counters = new Counter({
    name: `${id}_counter`,
    help: 'Counts since the start, as Torrust-Actix names them.',
    labelNames: ['metric'],
    registers: [registry],
  })
  const torrents = single(registry, `${id}_torrents_total`, 'Torrents that are tracked.')
  const peers = single(registry, `${id}_peers_total`, 'Peers of all torrents.')
  const arena = new Gauge({
    name: 'muster_arena_bytes',
    help: 'Memory for swarms: what stripes have taken, and what there is.',
    labelNames: ['state'],
    registers: [registry],
  })
  const gone = new Counter({
    name: 'muster_peers_gone_total',
    help: 'Peers that went: silent for too long, to make room, or without room.',
    labelNames: ['reason'],
    registers: [registry],
  })
  const limited = new Counter({
    name: 'muster_limited_announces_total',
    help: 'Announces that a limit refused, by its key in [limits].',
    labelNames: ['limit'],
    registers: [registry],
  })
  const database = single(registry, 'muster_database_up', 'Whether the last write reached it.')
  const failures = new Counter({
    name: 'muster_database_failures_total',
    help: 'Writes that did not reach the database.',
    registers: [registry],
  })
  return {
    async text() {
      const { evicted, expired, refused, bytesTaken, bytesReserved } = sources.totals()
      const now = momentary(sources)
      for (const [name, value] of Object.entries(now)) gauges.set({ metric: name }, value)
      counters.reset()
      for (const [name, value] of Object.entries(counted(sources))) {
        counters.inc({ metric: name }, value)
      }
      torrents.set(now.torrents)
      peers.set(now.seeds + now.peers)
      arena.set({ state: 'taken' }, bytesTaken)
      arena.set({ state: 'reserved' }, bytesReserved)
      gone.reset()
      for (const [reason, value] of Object.entries({ evicted, expired, refused })) {
        gone.inc({ reason }, value)
      }
      limited.reset()
      for (const [limit, value] of Object.entries(sources.limited())) limited.inc({ limit }, value)
      const state = sources.database()
      if (state) {
        database.set(state.healthy ? 1 : 0)
        failures.reset()
        failures.inc(state.failures)
      }
      return registry.metrics()
    },
    stats() {
      const { rules, startedSeconds } = sources
      return {
        started: startedSeconds,
        timestamp_run_save: sources.database()?.writtenSeconds ?? 0,
        timestamp: sources.nowSeconds(),
        ...momentary(sources),
        whitelist_enabled: rules.whitelist,
        blacklist_enabled: rules.blacklist,
        keys_enabled: rules.keys,
        ...counted(sources),
      }
    },
  }
}

function single(registry: Registry, name: string, help: string): Gauge {
  return new Gauge({ name, help, registers: [registry] })
}

function momentary({ entries, totals }: MetricSources) {
  const { completed, peers, seeders, torrents } = totals()
  const seeds = sumFamilies(seeders)
  return { torrents, seeds, peers: sumFamilies(peers) - seeds, completed, ...entries() }
}

/** What was asked, under the original's names. */
function counted({ frontends, udp }: MetricSources): Record<string, number> {
  const sums = udp()
  const tcp = frontends()
  const counts: Record<string, number> = {}
  for (const family of [0, 1] as const) {
    const of = (counter: FrontendCounter) => readFrontend(tcp, Protocol.http, family, counter)
    const version = family === 0 ? 4 : 6
    counts[`tcp${version}_not_found`] = of(FrontendCounter.notFound)
    counts[`tcp${version}_failure`] =
      readFailures(tcp, Protocol.http, family) + of(FrontendCounter.refused)
    counts[`tcp${version}_api_handled`] = of(FrontendCounter.api)
    counts[`tcp${version}_announces_handled`] = of(FrontendCounter.announce)
    counts[`tcp${version}_scrapes_handled`] = of(FrontendCounter.scrape)
    const prefix = `udp${version}`
    counts[`${prefix}_bad_request`] = sums.garbage[family] + sums.truncated[family]
    counts[`${prefix}_invalid_request`] = sums.error[family] + sums.badConnectionId[family]
    counts[`${prefix}_connections_handled`] = sums.connect[family]
    counts[`${prefix}_announces_handled`] = sums.announce[family]
    counts[`${prefix}_scrapes_handled`] = sums.scrape[family]
  }
  return counts
}
