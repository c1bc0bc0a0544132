/** The members of API answers that the page reads. The OpenAPI document describes all of them. */

export type TorrentCounts = {
  readonly seeders: number
  readonly leechers: number
  readonly completed: number
  /** Unix milliseconds. */
  readonly updated: number
}

export type Overview = {
  readonly version: string
  readonly stats: Readonly<Record<string, number | boolean>>
  readonly memory: { readonly taken: number; readonly reserved: number }
  readonly database: {
    readonly engine: string
    readonly healthy: boolean
    readonly failures: number
    /** Unix seconds. */
    readonly written: number
  } | null
  readonly processes: readonly {
    readonly name: string
    readonly pid: number
    readonly cpu: number
    /** Milliseconds. */
    readonly lag: number
    readonly resident: number
  }[]
  readonly nodes: readonly {
    readonly name: string
    readonly version: string
    readonly up: boolean
    readonly joined: boolean
    /** Seconds. */
    readonly lag: number
    readonly peers: number
    /** Per second. */
    readonly announces: number
    readonly differs: boolean
  }[]
  readonly history: Readonly<Record<HistoryLine, readonly number[]>>
  readonly top: readonly (TorrentCounts & { readonly info_hash: string })[]
  readonly clients: readonly { readonly client: string; readonly peers: number }[]
}

export type HistoryLine = 'http' | 'udp' | 'websocket' | 'seeders' | 'leechers'

export type TorrentOverview = {
  readonly info_hash: string
  readonly whitelisted: boolean
  readonly blacklisted: boolean
  readonly torrent: TorrentCounts | null
  readonly peers: readonly {
    readonly peer_id: { readonly client: string }
    readonly peer_addr: string
    readonly updated: number
    readonly uploaded: number
    readonly downloaded: number
    readonly left: number
  }[]
  readonly more: boolean
}

export type User = {
  readonly status: string
  readonly id?: number
  readonly uuid?: string
  readonly key: string
  readonly uploaded: number
  readonly downloaded: number
  readonly completed: number
  readonly active: 0 | 1
  readonly torrents_active: readonly object[]
}

/** Numbers of a user in a torrent. Times in Unix seconds. */
export type Transfer = {
  readonly info_hash?: string
  readonly key?: string
  readonly uploaded: number
  readonly downloaded: number
  readonly credited_up: number
  readonly credited_down: number
  readonly seeding_seconds: number
  readonly left: number
  readonly last_announce: number
  readonly completed: number
  readonly active: 0 | 1
}

export type Factors = {
  readonly scope: 'everybody' | 'torrent' | 'user'
  readonly id?: string
  readonly upload: number
  readonly download: number
  /** Unix seconds; 0 for no end. */
  readonly until: number
}
