/** Counts of a torrent, as websites read them. */
export type CachedCounts = {
  /** 40 lower-case hex digits. */
  readonly hash: string
  readonly seeders: number
  readonly leechers: number
  readonly completed: number
  /** Numbers of IPv4, IPv6 and WebSocket peers; undefined unless `split_peers` is set. */
  readonly families: FamilyCounts | undefined
}

export type FamilyCounts = {
  readonly seeders: readonly [number, number, number]
  readonly leechers: readonly [number, number, number]
}

/** A cache server. Every call ends within CACHE_TIMEOUT_MILLIS, and rejects if anything failed. */
export type CountStore = {
  write(counts: readonly CachedCounts[]): Promise<void>
  remove(hashes: readonly string[]): Promise<void>
  close(): void
}

export type StoreSettings = {
  readonly address: string
  readonly prefix: string
  /** Seconds until an entry expires. 0 means never. */
  readonly ttl: number
}

/** Time for one batch, in milliseconds. A server that hangs is given up after it. */
export const CACHE_TIMEOUT_MILLIS = 5000

/** Torrents of a batch. */
export const BATCH_TORRENTS = 500

/** Names of the fields of Torrust-Actix, which websites read, and their values. */
export function fieldsOf(
  counts: CachedCounts,
): readonly (readonly [name: string, value: number])[] {
  const { completed, families, leechers, seeders } = counts
  if (!families) {
    return [
      ['s', seeders],
      ['p', leechers],
      ['c', completed],
    ]
  }
  return [
    ['bt_seeds_ipv4', families.seeders[0]],
    ['bt_seeds_ipv6', families.seeders[1]],
    ['rtc_seeds', families.seeders[2]],
    ['bt_peers_ipv4', families.leechers[0]],
    ['bt_peers_ipv6', families.leechers[1]],
    ['rtc_peers', families.leechers[2]],
    ['c', completed],
  ]
}

export function entryName(prefix: string, hash: string): string {
  return `${prefix}t:${hash}`
}
