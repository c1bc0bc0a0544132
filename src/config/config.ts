/**
 * The configuration that rooms receive a part of: frozen, and fit for structured cloning.
 * Names are those of config.toml, so that one word finds a key everywhere. Times in seconds, sizes in bytes.
 */
export type TrackerConfig = {
  readonly whitelist_enabled: boolean
  readonly blacklist_enabled: boolean
  readonly keys_enabled: boolean
  readonly users_enabled: boolean
  readonly keys_cleanup_interval: number
  /** Empty where the one in api_key_file counts. */
  readonly api_key: string
  readonly api_key_file: string
  readonly swagger: boolean
  readonly prometheus_id: string
  readonly request_interval: number
  readonly request_interval_minimum: number
  /** Percent of request_interval that is added at random, so that clients do not come back in step. */
  readonly request_interval_jitter: number
  /** Seconds between the announces of a WebTorrent client. */
  readonly websocket_interval: number
  readonly peers_timeout: number
  readonly peers_cleanup_interval: number
  /** Peers in an answer when the client does not say, and at most. */
  readonly numwant_default: number
  readonly numwant_maximum: number
}

export type HttpServerConfig = {
  readonly enabled: boolean
  /** `host:port`, an IPv6 host in brackets. */
  readonly bind_address: string
  /** Header that holds the client's address, believed from trusted_proxies only. */
  readonly real_ip: string
  /** CIDR ranges. */
  readonly trusted_proxies: readonly string[]
  /** Take the client's address from PROXY protocol 2, from trusted_proxies only. */
  readonly proxy_protocol: boolean
  /** Speak HTTPS, and no HTTP. */
  readonly ssl: boolean
  /** PEM files. */
  readonly ssl_key: string
  readonly ssl_cert: string
  /** Connections in each worker process; 0 does not limit. */
  readonly max_connections: number
  /** Believe the `ip`, `ipv4` and `ipv6` parameters of an announce. */
  readonly use_payload_ip: boolean
  readonly websocket: boolean
}

export type ApiServerConfig = Omit<HttpServerConfig, 'use_payload_ip' | 'websocket'> & {
  readonly repeat_status: 'document' | 'ok'
  readonly allowed_hosts: readonly string[]
}

export type UdpServerConfig = {
  readonly enabled: boolean
  /** `host:port`, an IPv6 host in brackets. */
  readonly bind_address: string
  readonly udp_threads: number
  readonly receive_buffer_size: number
  readonly send_buffer_size: number
  readonly receive_method: 'auto' | 'recvmmsg' | 'dgram'
  /** Take the client's address from the Simple Proxy Protocol, from trusted_proxies only. */
  readonly simple_proxy_protocol: boolean
  /** CIDR ranges. */
  readonly trusted_proxies: readonly string[]
  /** Believe the address that an announce states. */
  readonly use_payload_ip: boolean
}

export type EngineConfig = {
  readonly threads: number
  readonly memory: number
  readonly huge_pages: boolean
}

export type FrontendConfig = {
  /** Cluster workers; 0 serves from the primary process itself. `auto` is the cores that engine threads leave, at least 1. */
  readonly workers: number | 'auto'
}

export type DatabaseConfig = {
  readonly engine: 'sqlite3' | 'mysql' | 'pgsql'
  /** `sqlite://FILE`, or a URL with user and password: never to be logged as it is. */
  readonly path: string
  readonly persistent: boolean
  readonly persistent_interval: number
  readonly insert_vacant: boolean
  readonly remove_action: boolean
  readonly update_completed: boolean
  readonly update_peers: boolean
  /** Rows of one transaction. */
  readonly chunk_size: number
}

/** Names of tables (with or without a schema) and columns, and how they hold hashes: `bin_type_*` for 20 bytes, else 40 hex digits. */
export type DatabaseStructureConfig = {
  readonly torrents: {
    readonly table_name: string
    readonly column_infohash: string
    readonly bin_type_infohash: boolean
    readonly column_seeds: string
    readonly column_peers: string
    readonly column_completed: string
    readonly persistent: boolean
  }
  readonly whitelist: ListTableConfig
  readonly blacklist: ListTableConfig
  readonly keys: {
    readonly table_name: string
    readonly column_hash: string
    readonly bin_type_hash: boolean
    readonly column_timeout: string
  }
  readonly users: {
    readonly table_name: string
    /** The primary key is `column_uuid`, else `column_id`. */
    readonly id_uuid: boolean
    readonly column_uuid: string
    readonly column_id: string
    readonly column_active: string
    readonly column_key: string
    readonly bin_type_key: boolean
    readonly column_uploaded: string
    readonly column_downloaded: string
    readonly column_completed: string
    readonly column_updated: string
  }
}

export type ListTableConfig = {
  readonly table_name: string
  readonly column_infohash: string
  readonly bin_type_infohash: boolean
}

export type LimitsConfig = {
  /** Announces a minute of one IPv4 address or IPv6 /64, and how many at once; 0 does not limit. */
  readonly announces_per_address: number
  readonly announces_per_address_burst: number
  /** 0 does not limit. */
  readonly max_torrents: number
  /** Peers in one torrent; 0 does not limit. */
  readonly peers_per_address: number
  /** In each worker process; 0 does not limit. */
  readonly connections_per_address: number
  readonly refuse_private_addresses: boolean
  readonly refuse_privileged_ports: boolean
  /** Prefixes of peer ids. */
  readonly client_blacklist: readonly string[]
  readonly client_whitelist: readonly string[]
}

export type SnapshotConfig = {
  readonly enabled: boolean
  readonly path: string
  readonly interval: number
}

export type LogConfig = {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
}

export type Config = {
  readonly tracker_config: TrackerConfig
  readonly http_server: readonly HttpServerConfig[]
  readonly udp_server: readonly UdpServerConfig[]
  readonly api_server: readonly ApiServerConfig[]
  readonly engine: EngineConfig
  readonly frontend: FrontendConfig
  readonly limits: LimitsConfig
  readonly snapshot: SnapshotConfig
  readonly database: DatabaseConfig
  readonly database_structure: DatabaseStructureConfig
  readonly log: LogConfig
}
