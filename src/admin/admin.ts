import type { UserRow } from '../database/rows.ts'
import type { RtcSignalling } from '../protocol/rtctorrent.ts'

/**
 * Everything that an operator, a website or the dashboard reads and changes. The API calls it in
 * any process; the primary's main thread executes it: first the database, then the shared tables,
 * then the answer. Arguments and results are plain data that can cross a process border, the caller
 * bounds every list, and hashes are 40 lower-case hex digits. Results are in the order of the
 * arguments.
 */
export type Admin = {
  torrents(hashes: readonly string[]): Promise<(Torrent | undefined)[]>
  /**
   * Peers of a torrent, at most `count`, seeders first. Starts with cursor 0; `next` is -1 at the
   * end.
   */
  torrentPeers(hash: string, cursor: number, count: number): Promise<PeerPage>
  /** `completed` undefined leaves the count unchanged, or 0 for a new torrent. */
  setTorrents(entries: readonly (readonly [hash: string, completed?: number])[]): Promise<Outcome[]>
  removeTorrents(hashes: readonly string[]): Promise<Outcome[]>
  /** The torrents with most peers, largest first. */
  topTorrents(count: number): Promise<Torrent[]>

  /**
   * A page of the hashes of a list, in a stable order. Start with the cursor ''. `next` is the
   * cursor of the next page, undefined at the end. Resolves to undefined for an invalid cursor. A
   * page of torrents may have more hashes than `count`.
   */
  page(list: EntryList, cursor: string, count: number): Promise<HashPage | undefined>

  listed(list: ListName, hashes: readonly string[]): Promise<boolean[]>
  addListed(list: ListName, hashes: readonly string[]): Promise<Outcome[]>
  removeListed(list: ListName, hashes: readonly string[]): Promise<Outcome[]>
  /** Rejects with an AdminError `not enabled` when the list is off. */
  clearList(list: ListName): Promise<void>

  /** Undefined for a key that is unknown or expired. */
  keys(hashes: readonly string[]): Promise<(KeyLifetime | undefined)[]>
  setKeys(entries: readonly (readonly [hash: string, timeoutSeconds: number])[]): Promise<Outcome[]>
  removeKeys(hashes: readonly string[]): Promise<Outcome[]>
  clearKeys(): Promise<void>

  /** The keys of the users with these ids, which are as in UserEntry. */
  userKeys(ids: readonly string[]): Promise<(string | undefined)[]>
  /** Users by key hash. */
  users(keys: readonly string[]): Promise<(User | undefined)[]>
  setUsers(users: readonly UserEntry[]): Promise<Outcome[]>
  removeUsers(keys: readonly string[]): Promise<Outcome[]>
  clearUsers(): Promise<void>

  /** Flags and factors of a user; undefined for an unknown one. */
  account(key: string): Promise<UserAccount | undefined>
  /** The keys of flagged users, at most `count`. */
  flaggedUsers(count: number): Promise<readonly string[]>
  /** Clears the flags of a user. Resolves to false for an unknown one. */
  clearFlags(key: string): Promise<boolean>
  /**
   * Numbers of a user in each torrent, at most `count`, in the order of the info hashes after
   * `cursor`; undefined for an unknown user. Rejects with `not enabled` without users or a
   * database.
   */
  userTorrents(
    key: string,
    cursor: string,
    count: number,
    hitAndRun?: HitAndRun,
  ): Promise<TransferPage | undefined>
  /** Numbers of each user in a torrent, in the order of the ids after `cursor`. */
  torrentUsers(
    hash: string,
    cursor: string,
    count: number,
    filter: { readonly isCompleted?: boolean; readonly hitAndRun?: HitAndRun },
  ): Promise<TransferPage>

  /** A page of the factors of credited bytes. */
  factors(cursor: string, count: number): Promise<FactorPage>
  setFactors(entries: readonly FactorEntry[]): Promise<Outcome[]>
  removeFactors(entries: readonly Pick<FactorEntry, 'scope' | 'id'>[]): Promise<Outcome[]>

  /** Exchanges session descriptions between RtcTorrent clients. */
  signalRtc: RtcSignalling

  /**
   * Reads whitelist, blacklist and keys from the database again, on all nodes, for a website that
   * changed the tables itself. Several nodes read users and factors, too. Resolves to the numbers
   * of entries on this node.
   */
  reloadLists(): Promise<ReloadedLists>

  stats(): Promise<Stats>
  /** Data of the dashboard. */
  overview(): Promise<Overview>
  /** The metrics of all processes and threads in Prometheus' text format. */
  metrics(): Promise<string>
  ready(): Promise<boolean>

  /** The TLS certificates of all servers. */
  certificates(): Promise<readonly Certificate[]>
  /** Reloads the certificates that match the filter. */
  reloadCertificates(filter: CertificateFilter): Promise<readonly CertificateReload[]>
}

export type ReloadedLists = {
  readonly whitelist: number
  readonly blacklist: number
  readonly keys: number
}

export type ListName = 'whitelist' | 'blacklist'

/** Both are 0 for a key that never expires. */
export type KeyLifetime = {
  /** Unix second at which the key expires. */
  readonly end: number
  /** Seconds until then. */
  readonly left: number
}

export type EntryList = ListName | 'torrents' | 'keys' | 'users'

export type HashPage = { readonly hashes: readonly string[]; readonly next?: string }

/** Result of one entry of a change. */
export type Outcome = 'added' | 'updated' | 'deleted' | 'unknown'

export type Torrent = {
  readonly hash: string
  readonly seeders: number
  readonly leechers: number
  readonly completed: number
  /** Unix milliseconds of the last announce. */
  readonly updated: number
}

export type PeerPage = { readonly peers: readonly Peer[]; readonly next: number }

export type Peer = {
  /** 40 hex digits. */
  readonly id: string
  /** `address:port`, an IPv6 address in brackets. */
  readonly address: string
  readonly uploaded: number
  readonly downloaded: number
  /** Bytes; 0 for a seeder. */
  readonly left: number
  /** Unix milliseconds. */
  readonly updated: number
}

/**
 * A user in the API. `id` is a UUID, or a decimal number if `database_structure.users.id_uuid` is
 * off.
 */
export type UserEntry = UserRow

export type User = UserEntry & {
  /** Counts of one of the user's clients grew faster than is plausible. */
  readonly grewTooFast: boolean
  /** Info hash and Unix seconds of the last announce for each torrent that the user is in. */
  readonly torrentsActive: readonly (readonly [hash: string, seen: number])[]
}

/** Users that completed a torrent, have left it, and have seeded for fewer seconds. */
export type HitAndRun = { readonly seedingBelow: number }

export type UserAccount = {
  readonly grewTooFast: boolean
  /** Torrents that the user is downloading. */
  readonly downloading: number
  readonly factors: FactorEntry | undefined
}

export type TransferPage = { readonly transfers: readonly Transfer[]; readonly next?: string }

/** Numbers of a user in a torrent. Times in Unix seconds; 0 for never. */
export type Transfer = {
  readonly id: string
  readonly key: string
  readonly hash: string
  /** Bytes as the client reports them, and as they are credited. */
  readonly uploaded: bigint
  readonly downloaded: bigint
  readonly creditedUp: bigint
  readonly creditedDown: bigint
  /** Bytes uploaded while the torrent had no leecher. */
  readonly idleUp: bigint
  /** Seconds of seeding. */
  readonly seeding: number
  readonly left: number
  readonly first: number
  readonly last: number
  readonly completed: number
  readonly completedAt: number
  /** The user has announced within the timeout of peers. */
  readonly isActive: boolean
}

/** Factors of credited bytes in thousandths, of everybody, a torrent or a user, by its key. */
export type FactorEntry = {
  readonly scope: 'everybody' | 'torrent' | 'user'
  /** Empty for everybody. */
  readonly id: string
  readonly upload: number
  readonly download: number
  /** Unix seconds; 0 for no end. */
  readonly until: number
}

export type FactorPage = { readonly entries: readonly FactorEntry[]; readonly next?: string }

/** Current numbers, by their names in Torrust-Actix's `/stats`. Times in Unix seconds. */
export type Stats = Readonly<Record<string, number | boolean>>

/** A summary of the tracker's state. */
export type Overview = {
  readonly version: string
  readonly stats: Stats
  /** Bytes for swarms: used, and reserved. */
  readonly memory: { readonly taken: number; readonly reserved: number }
  /** Undefined without persistence. `written` is the last write of counts in Unix seconds, or 0. */
  readonly database:
    | {
        readonly engine: string
        readonly healthy: boolean
        readonly failures: number
        readonly written: number
      }
    | undefined
  readonly processes: readonly ProcessNumbers[]
  /** The machines that serve this swarm, this one first; empty without `[nodes]`. */
  readonly nodes: readonly NodeNumbers[]
  /**
   * Samples `SAMPLE_SECONDS` apart, the oldest first: announces per second by protocol, and peers.
   */
  readonly history: Readonly<
    Record<'http' | 'udp' | 'websocket' | 'seeders' | 'leechers', readonly number[]>
  >
  /** The largest torrents. */
  readonly top: readonly Torrent[]
  /** Clients of a sample of their peers, with the number of peers that use each. */
  readonly clients: readonly { readonly client: string; readonly peers: number }[]
}

export type NodeNumbers = {
  readonly name: string
  readonly version: string
  /** Whether its heartbeats arrive, or, of this node, whether a NATS server is connected. */
  readonly up: boolean
  /** Whether it has the swarms of the others. */
  readonly joined: boolean
  /** Seconds from an announce there until it was known here; 0 of this node. */
  readonly lag: number
  readonly torrents: number
  readonly peers: number
  /** Announces per second from its own clients. */
  readonly announces: number
  /** Whether settings differ from those of this node. */
  readonly differs: boolean
}

export type ProcessNumbers = {
  readonly name: string
  readonly pid: number
  /** Processor time divided by the elapsed time: 1 is one core. */
  readonly cpu: number
  /** Maximum delay of the event loop in the last second, in milliseconds. */
  readonly lag: number
  /** Resident bytes. */
  readonly resident: number
}

export type Certificate = {
  readonly serverType: 'http' | 'api'
  /** `address:port`. */
  readonly bindAddress: string
  readonly certPath: string
  readonly keyPath: string
  /** Unix milliseconds. */
  readonly loadedAt: number
}

/** A field that is undefined matches every certificate. */
export type CertificateFilter = {
  readonly serverType?: string | undefined
  readonly bindAddress?: string | undefined
}

export type CertificateReload = Pick<Certificate, 'serverType' | 'bindAddress' | 'loadedAt'> & {
  /** Reason if the old certificate is still in use. */
  readonly error?: string
}

/**
 * Waits until the database has stored a change, before the change is made in memory. Without a
 * database there is nothing to wait for. Rejects with an AdminError.
 */
export async function storeFirst(change: Promise<unknown> | undefined): Promise<void> {
  try {
    await change
  } catch (error) {
    throw new AdminError('database error', 'database error', { cause: error })
  }
}

/** A rejected call of Admin. The message is the `status` that the API answers with. */
export class AdminError extends Error {
  readonly kind: 'not enabled' | 'database error'

  constructor(kind: AdminError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}
