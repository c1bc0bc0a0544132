import { FAMILY_LABELS, type Samples } from './samples.ts'

/** Current values under Torrust-Actix's names. `_updates` is the number of unwritten changes. */
export function gauges(samples: Samples) {
  const seeds = samples.sum('muster_seeders')
  const entries = (table: string) => samples.sum('muster_access_entries', { table })
  return {
    torrents: samples.sum('muster_torrents'),
    torrents_updates: samples.sum('muster_database_waiting', { what: 'torrents' }),
    users: entries('users'),
    users_updates: samples.sum('muster_database_waiting', { what: 'users' }),
    seeds,
    peers: samples.sum('muster_peers') - seeds,
    completed: samples.sum('muster_downloads_total'),
    // Lists and keys never wait: the API answers after they are written.
    whitelist: entries('whitelist'),
    whitelist_updates: 0,
    blacklist: entries('blacklist'),
    blacklist_updates: 0,
    keys: entries('keys'),
    keys_updates: 0,
  }
}

/**
 * Counters of Torrust-Actix's cluster of a master and slaves, which muster does not have. A strict
 * parser of `/stats` requires the fields.
 */
const CLUSTER_COUNTERS = {
  ws_connections_active: 0,
  ws_requests_sent: 0,
  ws_requests_received: 0,
  ws_responses_sent: 0,
  ws_responses_received: 0,
  ws_timeouts: 0,
  ws_reconnects: 0,
  ws_auth_success: 0,
  ws_auth_failed: 0,
} as const

/**
 * Counts since the start under Torrust-Actix's names; `ws4` and `ws6` are WebTorrent. A connection
 * handled is a request, because uWebSockets.js does not report connections.
 */
export function counters(samples: Samples): Record<string, number> {
  const counts: Record<string, number> = { ...CLUSTER_COUNTERS }
  for (const [family] of FAMILY_LABELS) {
    const version = family === 'ipv4' ? 4 : 6
    for (const [name, proto] of [
      ['tcp', 'http'],
      ['ws', 'websocket'],
    ] as const) {
      const prefix = `${name}${version}`
      const labels = { proto, family }
      const refused = (reason: string) =>
        samples.sum('muster_refused_requests_total', { ...labels, reason })
      const announces = samples.sum('muster_announces_total', labels)
      const scrapes = samples.sum('muster_scrapes_total', labels)
      const notFound = refused('not_found')
      const failures = samples.sum('muster_failures_total', labels) + refused('refused')
      counts[`${prefix}_not_found`] = notFound
      counts[`${prefix}_failure`] = failures
      counts[`${prefix}_connections_handled`] =
        proto === 'http'
          ? announces + scrapes + notFound + failures
          : samples.sum('muster_websocket_connections_total', { family })
      if (proto === 'http') {
        counts[`${prefix}_api_handled`] = samples.sum('muster_api_requests_total', { family })
      }
      counts[`${prefix}_announces_handled`] = announces
      counts[`${prefix}_scrapes_handled`] = scrapes
    }
    const outcome = (...outcomes: string[]) =>
      outcomes
        .map(outcome => samples.sum('muster_udp_datagrams_total', { family, outcome }))
        .reduce((sum, value) => sum + value)
    const prefix = `udp${version}`
    counts[`${prefix}_bad_request`] = outcome('garbage', 'truncated')
    counts[`${prefix}_invalid_request`] = outcome('error', 'bad_connection_id')
    counts[`${prefix}_connections_handled`] = outcome('connect')
    counts[`${prefix}_announces_handled`] = outcome('announce')
    counts[`${prefix}_scrapes_handled`] = outcome('scrape')
  }
  return counts
}

export type AccessRules = {
  readonly whitelist: boolean
  readonly blacklist: boolean
  readonly keys: boolean
}

/**
 * The fields of Torrust-Actix's `/stats`. A time is in Unix seconds, and 0 for an event that did
 * not happen yet or never happens in muster.
 */
export function flatStats(
  samples: Samples,
  rules: AccessRules,
  nowSeconds: number,
): Readonly<Record<string, number | boolean>> {
  return {
    started: samples.sum('muster_start_time_seconds'),
    timestamp: nowSeconds,
    timestamp_run_save: samples.sum('muster_database_write_timestamp_seconds'),
    timestamp_run_timeout: Math.max(0, ...samples.values('muster_sweep_pass_timestamp_seconds')),
    timestamp_run_console: 0,
    timestamp_run_keys_timeout: samples.sum('muster_keys_cleanup_timestamp_seconds'),
    ...gauges(samples),
    whitelist_enabled: rules.whitelist,
    blacklist_enabled: rules.blacklist,
    keys_enabled: rules.keys,
    ...counters(samples),
    // Bytes in the kernel's receive buffers: muster itself does not queue datagrams.
    udp_queue_len: samples.sum('muster_udp_receive_queue_bytes'),
  }
}
