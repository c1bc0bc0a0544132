import { EngineCounter } from '../counters/engine.ts'
import { FrontendCounter, Protocol, readFailures, readFrontend } from '../counters/frontend.ts'
import { sumUdpCounters } from '../counters/udp.ts'
import { sumFamilies } from '../engine/totals.ts'
import { readUdpSockets } from '../native/proc-net-udp.ts'
import type { MetricSources } from './sources.ts'

/** Numbers of this moment under Torrust-Actix's names. What waits to be written has `_updates`: lists and keys never wait. */
export function momentary(sources: MetricSources) {
  const { completed, peers, seeders, stripesChanged, torrents } = sources.totals()
  const seeds = sumFamilies(seeders)
  const { blacklist, keys, users, whitelist } = sources.entries()
  const isKept = sources.database() !== undefined
  return {
    torrents,
    torrents_updates: isKept ? stripesChanged : 0,
    users,
    users_updates: isKept ? sources.usersWaiting() : 0,
    seeds,
    peers: sumFamilies(peers) - seeds,
    completed,
    whitelist,
    whitelist_updates: 0,
    blacklist,
    blacklist_updates: 0,
    keys,
    keys_updates: 0,
  }
}

/** Counts since the start under its names; `ws` is WebTorrent. A connection handled is a request: uWebSockets.js tells of no connections. */
export function counted({ processes, udp }: MetricSources): Record<string, number> {
  const sums = sumUdpCounters(udp())
  const { frontends } = processes.counts()
  const counts: Record<string, number> = {}
  for (const family of [0, 1] as const) {
    const version = family === 0 ? 4 : 6
    for (const [name, protocol] of [
      ['tcp', Protocol.http],
      ['ws', Protocol.websocket],
    ] as const) {
      const prefix = `${name}${version}`
      const of = (counter: FrontendCounter) => readFrontend(frontends, protocol, family, counter)
      const announces = of(FrontendCounter.announce)
      const scrapes = of(FrontendCounter.scrape)
      const notFound = of(FrontendCounter.notFound)
      const failures = readFailures(frontends, protocol, family) + of(FrontendCounter.refused)
      counts[`${prefix}_not_found`] = notFound
      counts[`${prefix}_failure`] = failures
      counts[`${prefix}_connections_handled`] =
        protocol === Protocol.http
          ? announces + scrapes + notFound + failures
          : of(FrontendCounter.connection)
      if (protocol === Protocol.http) counts[`${prefix}_api_handled`] = of(FrontendCounter.api)
      counts[`${prefix}_announces_handled`] = announces
      counts[`${prefix}_scrapes_handled`] = scrapes
    }
    const prefix = `udp${version}`
    counts[`${prefix}_bad_request`] = sums.garbage[family] + sums.truncated[family]
    counts[`${prefix}_invalid_request`] = sums.error[family] + sums.badConnectionId[family]
    counts[`${prefix}_connections_handled`] = sums.connect[family]
    counts[`${prefix}_announces_handled`] = sums.announce[family]
    counts[`${prefix}_scrapes_handled`] = sums.scrape[family]
  }
  return counts
}

/** What Torrust-Actix's `/stats` tells, by its names. A time is 0 where what it tells of has not happened, or never does here. */
export function flatStats(sources: MetricSources): Readonly<Record<string, number | boolean>> {
  const { rules, startedSeconds } = sources
  const swept = sources.engines().map(counters => counters[EngineCounter.sweepEnded] as number)
  const queued = readUdpSockets(sources.udpPorts())?.queuedBytes ?? [0, 0]
  return {
    started: startedSeconds,
    timestamp: sources.nowSeconds(),
    timestamp_run_save: sources.database()?.writtenSeconds ?? 0,
    timestamp_run_timeout: Math.max(0, ...swept),
    timestamp_run_console: 0,
    timestamp_run_keys_timeout: sources.keysCleanedSeconds(),
    ...momentary(sources),
    whitelist_enabled: rules.whitelist,
    blacklist_enabled: rules.blacklist,
    keys_enabled: rules.keys,
    ...counted(sources),
    // Bytes in the kernel: nothing is queued here.
    udp_queue_len: queued[0] + queued[1],
  }
}
