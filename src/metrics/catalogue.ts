/** What there is to say of a metric. */
export type Metric = {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly unit: string
  /** Names of the labels, with the values that each can have. Every one of them is bounded. */
  readonly labels: Readonly<Record<string, string>>
}

const PROTO = { proto: 'http, udp, websocket' }
const FAMILY = { family: 'ipv4, ipv6' }
const PEERS = { family: 'ipv4, ipv6, websocket' }
const PROCESS = { process: 'primary, worker-1, worker-2, …' }
const THREAD = { thread: 'engine-0, engine-1, …' }
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

/** Every metric of muster's own, in the order in which they are served. Torrust-Actix's names are in torrust-actix.ts. */
export const CATALOGUE = {
  muster_build_info: gauge('', 'Always 1; the labels tell what runs.', {
    version: 'of muster',
    node: 'of Node',
  }),
  muster_start_time_seconds: gauge('seconds', 'When the tracker started, in Unix time.'),

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
    reason: 'one for each failure reason, as missing_info_hash or unknown_key',
  }),
  muster_refused_requests_total: counter(
    'requests',
    'What is no request of a tracker: another path or method, a message that is none.',
    { proto: 'http, websocket', ...FAMILY, reason: 'not_found, refused' },
  ),
  muster_api_requests_total: counter(
    'requests',
    'Requests to the API, whatever the answer.',
    FAMILY,
  ),
  muster_websocket_connections_total: counter(
    'connections',
    'WebSockets that were opened.',
    FAMILY,
  ),

  muster_websocket_relayed_total: counter(
    'messages',
    'WebRTC offers and answers that were passed on to the peer they were for.',
    FAMILY,
  ),
  muster_websocket_dropped_total: counter(
    'messages',
    'WebRTC offers and answers that were not: nobody waits for them, or reads too slowly.',
    FAMILY,
  ),

  muster_udp_datagrams_total: counter('datagrams', 'UDP requests, by what became of them.', {
    ...FAMILY,
    outcome: 'connect, announce, scrape, error, bad_connection_id, garbage, truncated',
  }),
  muster_udp_received_total: counter('datagrams', 'Datagrams taken from the kernel.', FAMILY),
  muster_udp_sent_total: counter('datagrams', 'Answers handed to the kernel.', FAMILY),
  muster_udp_send_failures_total: counter('datagrams', 'Answers that the kernel refused.', FAMILY),
  muster_udp_receive_failures_total: counter('errors', 'Errors while receiving.', FAMILY),
  muster_udp_dropped_total: counter(
    'datagrams',
    'Datagrams that the kernel dropped because a socket’s receive buffer was full (Linux).',
    FAMILY,
  ),
  muster_udp_receive_queue_bytes: gauge(
    'bytes',
    'What waits in the receive buffers, as the kernel counts it (Linux).',
    FAMILY,
  ),
  muster_udp_batch_seconds: histogram(
    'seconds',
    'From receiving a batch of datagrams to having sent the answers; one batch of eight is timed.',
  ),

  muster_link_wait_seconds: histogram(
    'seconds',
    'How long requests over HTTP and WebSocket wait for the engine; those of a frame are told the time of its oldest.',
  ),
  muster_link_frame_records: histogram('requests', 'Requests that go to the engine together.'),
  muster_link_failed_total: counter(
    'requests',
    'Requests failed because the link to the engine broke.',
  ),
  muster_engine_frame_seconds: histogram(
    'seconds',
    'Time that an engine thread takes for a frame.',
  ),

  muster_torrents: gauge('torrents', 'Torrents that are tracked.'),
  muster_peers: gauge('peers', 'Peers of all torrents.', PEERS),
  muster_seeders: gauge('peers', 'Those of them that have all.', PEERS),
  muster_downloads_total: counter('downloads', 'Downloads that were completed.'),
  muster_peers_gone_total: counter(
    'peers',
    'Peers that went: silent for too long, to make room, or turned away without room.',
    { reason: 'expired, evicted, refused' },
  ),
  muster_limited_announces_total: counter(
    'announces',
    'Announces that a limit refused, by its key in [limits].',
    {
      limit:
        'announces_per_address, max_torrents, peers_per_address, refuse_private_addresses, refuse_privileged_ports, client_blacklist, client_whitelist',
    },
  ),
  muster_limited_connections_total: counter(
    'connections',
    'Connections over HTTP and WebSocket that a limit ended.',
    { limit: 'connections_per_address, max_connections' },
  ),
  muster_arena_bytes: gauge(
    'bytes',
    'Memory for swarms: reserved, taken by stripes, and of that in use.',
    {
      state: 'reserved, taken, used',
    },
  ),
  muster_arena_class_bytes: gauge('bytes', 'Memory in use by swarms, by the size of the blocks.', {
    up_to: '64, 256, 1024, 4096, 16384, +Inf',
  }),
  muster_sweep_busy_seconds_total: counter(
    'seconds',
    'Time that the sweep held engine threads up.',
    THREAD,
  ),
  muster_sweep_pass_seconds: gauge(
    'seconds',
    'How long the last pass over all peers took; 0 before the first.',
    THREAD,
  ),
  muster_sweep_pass_timestamp_seconds: gauge('seconds', 'When it ended, in Unix time.', THREAD),

  muster_snapshot_seconds: gauge('seconds', 'How long writing the last snapshot took.'),
  muster_snapshot_bytes: gauge('bytes', 'Size of the last snapshot.'),
  muster_snapshot_timestamp_seconds: gauge('seconds', 'When it was written, in Unix time.'),
  muster_snapshot_failures_total: counter(
    'failures',
    'Snapshots that could not be written or brought back.',
  ),

  muster_database_up: gauge('', 'Whether the last write reached the database.'),
  muster_database_writes_total: counter('writes', 'Writes of counts that succeeded.'),
  muster_database_failures_total: counter('writes', 'Writes of counts that failed.'),
  muster_database_rows_total: counter('rows', 'Rows that these writes changed.'),
  muster_database_busy_seconds_total: counter('seconds', 'Time that they took.'),
  muster_database_write_timestamp_seconds: gauge(
    'seconds',
    'When the last one succeeded, in Unix time.',
  ),
  muster_database_waiting: gauge(
    'parts, users',
    'What waits to be written: parts of the tables with changed torrents, and changed users.',
    { what: 'torrents, users' },
  ),
  muster_access_entries: gauge('entries', 'Entries of lists, keys and users.', {
    table: 'whitelist, blacklist, keys, users',
  }),

  muster_workers: gauge('processes', 'Cluster workers that live.'),
  muster_worker_restarts_total: counter(
    'processes',
    'Workers that ended unasked and were started again.',
  ),
  muster_process_report_age_seconds: gauge(
    'seconds',
    'Time since a process last told of itself; it does so every second.',
    PROCESS,
  ),
  muster_process_cpu_seconds_total: counter('seconds', 'Processor time of all threads.', PROCESS),
  muster_process_resident_memory_bytes: gauge('bytes', 'Memory in use.', PROCESS),
  muster_process_heap_bytes: gauge('bytes', 'JavaScript heap of the main thread.', {
    ...PROCESS,
    state: 'total, used',
  }),
  muster_process_connections: gauge(
    'connections',
    'Open connections over HTTP and WebSocket; counted where a limit on them is set.',
    PROCESS,
  ),
  muster_process_gc_runs_total: counter(
    'collections',
    'Collections of garbage in the main thread.',
    {
      ...PROCESS,
      kind: 'minor, major, incremental, weak',
    },
  ),
  muster_process_gc_seconds_total: counter('seconds', 'Time that they took.', {
    ...PROCESS,
    kind: 'minor, major, incremental, weak',
  }),
  muster_event_loop_busy_seconds_total: counter(
    'seconds',
    'Time in which the event loop did not wait.',
    PROCESS,
  ),
  muster_event_loop_lag_seconds: histogram(
    'seconds',
    'By how much a timer came too late; the longest of each second.',
    PROCESS,
  ),
} as const satisfies Readonly<Record<`muster_${string}`, Metric>>

export type MetricName = keyof typeof CATALOGUE
