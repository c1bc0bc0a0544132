/** Description of a metric. */
export type Metric = {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly unit: string
  /** Label names with their possible values. The number of values is bounded. */
  readonly labels: Readonly<Record<string, string>>
}

const PROTO = { proto: 'http, udp, websocket' }
const FAMILY = { family: 'ipv4, ipv6' }
const PEERS = { family: 'ipv4, ipv6, websocket' }
const PROCESS = { process: 'primary, worker-1, worker-2, …' }
const THREAD = { thread: 'engine-0, engine-1, …' }
const NODE = { node: 'name of another node' }
const NONE = {}

function counter(unit: string, help: string, labels: Metric['labels'] = NONE): Metric {
  return { type: 'counter', help, unit, labels }
}

function gauge(unit: string, help: string, labels: Metric['labels'] = NONE): Metric {
  return { type: 'gauge', help, unit, labels }
}

function histogram(unit: string, help: string, labels: Metric['labels'] = NONE): Metric {
  return { type: 'histogram', help, unit, labels }
}

/**
 * Every metric of muster in the order of the output. Torrust-Actix's names are in torrust-actix.ts.
 */
export const CATALOGUE = {
  muster_build_info: gauge('', 'Always 1; the labels have the versions.', {
    version: 'of muster',
    node: 'of Node',
  }),
  muster_start_time_seconds: gauge('seconds', 'Start of the tracker, in Unix time.'),

  muster_announces_total: counter('announces', 'Announces answered with success.', {
    ...PROTO,
    ...FAMILY,
  }),
  muster_scrapes_total: counter('scrapes', 'Scrapes answered with success.', {
    ...PROTO,
    ...FAMILY,
  }),
  muster_failures_total: counter('requests', 'Announces and scrapes answered with a failure.', {
    ...PROTO,
    ...FAMILY,
    reason: 'one for each failure reason, such as missing_info_hash or unknown_key',
  }),
  muster_refused_requests_total: counter(
    'requests',
    'Requests that are not tracker requests: unknown path, unsupported method or malformed message.',
    { proto: 'http, websocket', ...FAMILY, reason: 'not_found, refused' },
  ),
  muster_api_requests_total: counter('requests', 'Requests to the API, successful or not.', FAMILY),
  muster_websocket_connections_total: counter(
    'connections',
    'WebSockets that were opened.',
    FAMILY,
  ),

  muster_websocket_relayed_total: counter(
    'messages',
    'WebRTC offers and answers that were relayed to their peer.',
    FAMILY,
  ),
  muster_websocket_dropped_total: counter(
    'messages',
    'WebRTC offers and answers that were dropped: no peer waits for them, or the peer reads too slowly.',
    FAMILY,
  ),

  muster_udp_datagrams_total: counter('datagrams', 'UDP requests by outcome.', {
    ...FAMILY,
    outcome: 'connect, announce, scrape, error, bad_connection_id, garbage, truncated',
  }),
  muster_udp_received_total: counter('datagrams', 'Datagrams received.', FAMILY),
  muster_udp_sent_total: counter('datagrams', 'Answers sent.', FAMILY),
  muster_udp_send_failures_total: counter(
    'datagrams',
    'Answers that the kernel did not send.',
    FAMILY,
  ),
  muster_udp_receive_failures_total: counter('errors', 'Errors while receiving.', FAMILY),
  muster_udp_dropped_total: counter(
    'datagrams',
    'Datagrams that the kernel dropped because a socket’s receive buffer was full (Linux).',
    FAMILY,
  ),
  muster_udp_receive_queue_bytes: gauge(
    'bytes',
    'Size of the datagrams that wait in the receive buffers (Linux).',
    FAMILY,
  ),
  muster_udp_batch_seconds: histogram(
    'seconds',
    'Time from receiving a batch of datagrams to sending the answers; one batch in eight is measured.',
  ),

  muster_link_wait_seconds: histogram(
    'seconds',
    'Time that requests over HTTP and WebSocket wait for the engine; all requests of a frame are recorded with the wait of the oldest one.',
  ),
  muster_link_frame_records: histogram('requests', 'Requests in a frame to the engine.'),
  muster_link_failed_total: counter(
    'requests',
    'Requests that failed because the link to the engine broke.',
  ),
  muster_engine_frame_seconds: histogram(
    'seconds',
    'Time that an engine thread takes to answer a frame.',
  ),

  muster_torrents: gauge('torrents', 'Torrents that are tracked.'),
  muster_peers: gauge('peers', 'Peers of all torrents.', PEERS),
  muster_seeders: gauge('peers', 'Peers that have the complete torrent.', PEERS),
  muster_downloads_total: counter('downloads', 'Downloads that were completed.'),
  muster_peers_removed_total: counter(
    'peers',
    'Peers that were removed: silent for too long, evicted for space, or refused for lack of space.',
    { reason: 'expired, evicted, refused' },
  ),
  muster_limited_announces_total: counter(
    'announces',
    'Announces that a limit refused, by the key in [limits].',
    {
      limit:
        'announces_per_address, max_torrents, peers_per_address, memory_per_address, refuse_private_addresses, refuse_privileged_ports, client_blacklist, client_whitelist',
    },
  ),
  muster_limited_connections_total: counter(
    'connections',
    'Connections over HTTP and WebSocket that a limit closed.',
    { limit: 'connections_per_address, max_connections' },
  ),
  muster_arena_bytes: gauge(
    'bytes',
    'Memory for swarms: reserved, allocated to stripes, and in use.',
    {
      state: 'reserved, taken, used',
    },
  ),
  muster_arena_class_bytes: gauge('bytes', 'Memory in use by swarms, by block size.', {
    up_to: '64, 256, 1024, 4096, 16384, +Inf',
  }),
  muster_sweep_busy_seconds_total: counter(
    'seconds',
    'Time that engine threads spent on removing expired peers.',
    THREAD,
  ),
  muster_sweep_pass_seconds: gauge(
    'seconds',
    'Duration of the last pass over all peers; 0 before the first.',
    THREAD,
  ),
  muster_sweep_pass_timestamp_seconds: gauge(
    'seconds',
    'End of the last pass over all peers, in Unix time; 0 before the first.',
    THREAD,
  ),

  muster_snapshot_seconds: gauge('seconds', 'Time that writing the last snapshot took.'),
  muster_snapshot_bytes: gauge('bytes', 'Size of the last snapshot.'),
  muster_snapshot_timestamp_seconds: gauge('seconds', 'Time of the last snapshot, in Unix time.'),
  muster_snapshot_failures_total: counter(
    'failures',
    'Snapshots that could not be written or restored.',
  ),

  muster_cache_up: gauge('', '1 if the last write reached the cache of counts, otherwise 0.'),
  muster_cache_writes_total: counter(
    'writes',
    'Writes of changed counts to the cache that succeeded.',
  ),
  muster_cache_failures_total: counter(
    'writes',
    'Writes of changed counts to the cache that failed.',
  ),
  muster_cache_torrents_total: counter('torrents', 'Entries written to the cache.'),

  muster_database_up: gauge('', '1 if the last write reached the database, otherwise 0.'),
  muster_database_writes_total: counter('writes', 'Writes of counters that succeeded.'),
  muster_database_failures_total: counter('writes', 'Writes of counters that failed.'),
  muster_database_rows_total: counter('rows', 'Rows that writes of counters changed.'),
  muster_database_busy_seconds_total: counter('seconds', 'Time spent on writes of counters.'),
  muster_database_write_timestamp_seconds: gauge(
    'seconds',
    'Time of the last successful write of counters, in Unix time; 0 before the first.',
  ),
  muster_database_set_aside: gauge(
    'users',
    'Users whose counters the database rejects because of a value, a constraint or a trigger. The writes are retried.',
  ),
  muster_sessions: gauge('sessions', 'Sessions of users that are remembered.'),
  muster_sessions_evicted_total: counter(
    'sessions',
    'Sessions that were evicted because all of accounting.sessions were in use.',
  ),
  muster_sessions_too_fast_total: counter(
    'announces',
    'Announces of sessions that grew faster than accounting.max_rate or suspicious_rate.',
  ),
  muster_database_waiting: gauge(
    'stripes, users',
    'Changes that wait to be written: stripes of the tables with changed torrents, and changed users.',
    { what: 'torrents, users' },
  ),
  muster_events_sent_total: counter('events', 'Events that a receiver accepted.', {
    receiver: 'webhook, nats, redis',
  }),
  muster_events_dropped_total: counter(
    'events',
    'Events that were dropped because events.queue events were waiting already: for one receiver, or for all of them before they were read from the engine.',
    { receiver: 'webhook, nats, redis, all' },
  ),
  muster_events_failures_total: counter(
    'batches',
    'Batches that a receiver did not accept; they are sent again.',
    { receiver: 'webhook, nats, redis' },
  ),
  muster_events_waiting: gauge('events', 'Events that wait to be sent.', {
    receiver: 'webhook, nats, redis, all',
  }),
  muster_events_lag_seconds: gauge('seconds', 'How long the oldest event has waited.', {
    receiver: 'webhook, nats, redis',
  }),
  muster_access_entries: gauge('entries', 'Entries of lists, keys and users.', {
    table: 'whitelist, blacklist, keys, users',
  }),

  muster_keys_cleanup_timestamp_seconds: gauge(
    'seconds',
    'Time of the last deletion of expired keys, in Unix time; 0 before the first.',
  ),

  muster_workers: gauge('processes', 'Running cluster workers.'),
  muster_worker_restarts_total: counter(
    'processes',
    'Workers that ended unexpectedly and were restarted.',
  ),
  muster_process_report_age_seconds: gauge(
    'seconds',
    'Time since the last report of a process; it reports every second.',
    PROCESS,
  ),
  muster_process_cpu_seconds_total: counter('seconds', 'Processor time of all threads.', PROCESS),
  muster_process_resident_memory_bytes: gauge('bytes', 'Resident memory.', PROCESS),
  muster_process_heap_bytes: gauge('bytes', 'JavaScript heap of the main thread.', {
    ...PROCESS,
    state: 'total, used',
  }),
  muster_process_connections: gauge(
    'connections',
    'Open connections over HTTP and WebSocket; counted where a limit on them is set.',
    PROCESS,
  ),
  muster_process_gc_runs_total: counter('collections', 'Garbage collections in the main thread.', {
    ...PROCESS,
    kind: 'minor, major, incremental, weak',
  }),
  muster_process_gc_seconds_total: counter('seconds', 'Time spent on garbage collection.', {
    ...PROCESS,
    kind: 'minor, major, incremental, weak',
  }),
  muster_event_loop_busy_seconds_total: counter(
    'seconds',
    'Time that the event loop was busy.',
    PROCESS,
  ),
  muster_event_loop_lag_seconds: histogram(
    'seconds',
    'Delay of a timer; the longest of each second.',
    PROCESS,
  ),

  muster_nodes_connected: gauge('', '1 while a NATS server is connected.'),
  muster_nodes_joined: gauge('', '1 once this node has the swarms of the other nodes.'),
  muster_nodes_up: gauge('', '1 while the node sends heartbeats.', NODE),
  muster_nodes_lag_seconds: gauge(
    'seconds',
    'Age of the last batch of announces of the node on arrival, by the clocks of both.',
    NODE,
  ),
  muster_nodes_clock_seconds: gauge(
    'seconds',
    'Time by which the clock of the node is ahead.',
    NODE,
  ),
  muster_nodes_settings_differ: gauge(
    '',
    '1 while the node has other settings of [tracker_config], [limits] or [accounting].',
    NODE,
  ),
  muster_nodes_backlog_bytes: gauge('bytes', 'Size of the batches that wait to be sent.'),
  muster_nodes_connections_total: counter('connections', 'Connections to NATS servers.'),
  muster_nodes_batches_total: counter('batches', 'Batches of announces.', {
    direction: 'sent, received',
  }),
  muster_nodes_refused_batches_total: counter(
    'batches',
    'Batches of other nodes that were malformed or of another version.',
  ),
  muster_nodes_deltas_total: counter(
    'announces',
    'Announces sent to other nodes, and received from them: applied, older than the known ones, or expired.',
    { result: 'sent, applied, older, expired' },
  ),
  muster_nodes_dropped_total: counter(
    'announces',
    'Announces that were not sent: no NATS server was reachable for too long, or the thread was too slow.',
  ),
  muster_nodes_skipped_total: counter(
    'announces',
    'Announces that changed nothing, and that nodes.leases did not send to the other nodes.',
  ),
  muster_nodes_expiries_total: counter(
    'peers',
    'Peers of this node that timed out, as it reported to the other nodes.',
  ),
  muster_nodes_gaps_total: counter('gaps', 'Times that batches of another node were missing.'),
  muster_nodes_transfers_total: counter(
    'transfers',
    'Transfers of swarms from another node, after a start or a gap.',
    { result: 'complete, failed' },
  ),
  muster_nodes_relayed_total: counter(
    'messages',
    'Offers and answers of WebSocket peers, sent to other nodes and received from them.',
    { direction: 'sent, received' },
  ),
  muster_nodes_relay_dropped_total: counter(
    'messages',
    'Offers and answers that were dropped: the node or NATS is unreachable, a rate is exceeded, or they are too large or of another version.',
    { reason: 'unreachable, excess, refused' },
  ),
} as const satisfies Readonly<Record<`muster_${string}`, Metric>>

export type MetricName = keyof typeof CATALOGUE
