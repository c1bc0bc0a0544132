import type { Database } from '../database/database.ts'
import type { Batch } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import { dropPeers } from '../engine/leave.ts'
import type { Logger } from '../log.ts'
import type { SharedAccounts } from './accounts.ts'
import type { Admin, ListName, Stats } from './admin.ts'
import { Keys } from './keys.ts'
import { createList, type List } from './lists.ts'
import { OverviewReader, type OverviewSources } from './overview.ts'
import { readPage } from './pages.ts'
import { RtcTorrents } from './rtctorrent.ts'
import { withoutDeletes } from './stored-rows.ts'
import { type TorrentRules, Torrents } from './torrents.ts'
import { Users } from './users.ts'

/** All administration: the operations of the API, and the data that is stored and written. */
export type Administration = {
  readonly admin: Admin
  readonly whitelist: List
  readonly blacklist: List
  readonly keys: Keys
  readonly users: Users
  readonly torrents: Torrents
  readonly overview: OverviewReader
  /** Changes users in memory as another node has changed them in the database. */
  readonly received: Partial<Admin>
  /** Loads the rows of the database. Returns the number of each kind. */
  load(): Promise<Loaded>
  /** Writes to the database that are repeated at intervals. */
  readonly flushes: readonly (() => Promise<number>)[]
}

export type Loaded = {
  readonly torrents: number
  readonly whitelist: number
  readonly blacklist: number
  readonly keys: number
  readonly users: number
}

export type AdministrationOptions = {
  readonly engine: Engine
  /** Undefined if nothing is stored. */
  readonly database: Database | undefined
  readonly torrentRules: TorrentRules
  /** Whether torrents are stored too, and not only lists, keys and users. */
  readonly storeTorrents: boolean
  /** Rows per batch of counters. */
  readonly chunkSize: number
  /** Seconds for which a session is remembered after its last announce. */
  readonly sessionTtl: number
  /** Receives each batch of users' credit after it is in the database. */
  readonly onCredited?: (batch: Batch) => void
  /** Where several nodes credit users. */
  readonly shared?: SharedAccounts | undefined
  readonly log: Logger
  readonly nowSeconds: () => number
  readonly stats: () => Stats
  readonly metrics: () => Promise<string>
  readonly overview: Pick<
    OverviewSources,
    'version' | 'database' | 'processes' | 'nodes' | 'clientOf'
  >
  readonly isReady: () => boolean
  readonly certificates: Pick<Admin, 'certificates' | 'reloadCertificates'>
  /** Seconds without an announce after which an RtcTorrent peer is removed. */
  readonly rtcTimeout: () => number
  readonly reloadLists: Admin['reloadLists']
  /** Called with the info hashes of torrents that were set or removed through the API. */
  readonly onTorrentsChanged: (hashes: readonly string[]) => void
}

/**
 * Creates the only writer of the tables of lists, keys and users, for the main thread of the
 * primary.
 */
export function createAdministration(options: AdministrationOptions): Administration {
  const { engine, nowSeconds } = options
  const { deleteRows } = options.torrentRules
  const database =
    options.database && !deleteRows ? withoutDeletes(options.database) : options.database
  const { access } = engine
  const drop = (hash: string) => dropPeers(engine, Buffer.from(hash, 'hex'))
  const listOf = (name: ListName, by: 'added' | 'deleted') =>
    createList(name, () => access.rules[name], access[name], database?.[name], {
      by,
      dropPeers: drop,
    })
  const whitelist = listOf('whitelist', 'deleted')
  const blacklist = listOf('blacklist', 'added')
  const keys = new Keys({
    isEnabled: () => access.rules.keys,
    table: access.keys,
    rows: database?.keys,
    deletesRows: deleteRows,
    realSeconds: access.realSeconds,
    nowSeconds,
  })
  const users = new Users({ ...options, database })
  const stored = options.storeTorrents ? database?.torrents : undefined
  const torrents = new Torrents(engine, stored, options.torrentRules, nowSeconds)
  const overview = new OverviewReader({
    ...options.overview,
    engine,
    torrents,
    stats: options.stats,
    now: () => performance.now(),
  })
  const parts = { whitelist, blacklist, keys, users, torrents, overview }
  return {
    admin: adminOf(parts, options),
    ...parts,
    received: receivedOf(users),
    load: async () => ({
      torrents: await torrents.load(),
      whitelist: await whitelist.load(),
      blacklist: await blacklist.load(),
      keys: await keys.load(),
      users: await users.load(),
    }),
    flushes: [
      () => torrents.flush(),
      () => users.accounts.flush(),
      () => users.factors.removeEnded(),
    ],
  }
}

function receivedOf(users: Users): Partial<Admin> {
  return {
    setUsers: entries => users.enter(entries),
    removeUsers: keys => users.forget(keys),
    clearUsers: () => users.forgetAll(),
    clearFlags: key => users.reports.clearFlags(key),
    setFactors: async entries => users.factors.enter(entries),
    async removeFactors(entries) {
      users.factors.forgetEntries(entries)
      return []
    },
  }
}

type Parts = Pick<
  Administration,
  'whitelist' | 'blacklist' | 'keys' | 'users' | 'torrents' | 'overview'
>

/** The operations of the API, each of which one part carries out. */
function adminOf(parts: Parts, options: AdministrationOptions): Admin {
  const { keys, overview, torrents, users } = parts
  const rtcTorrents = new RtcTorrents(options.engine, options.rtcTimeout, options.nowSeconds)
  return {
    torrents: async hashes => torrents.of(hashes),
    torrentPeers: async (hash, cursor, count) => torrents.peers(hash, cursor, count),
    async setTorrents(entries) {
      const outcomes = await torrents.set(entries)
      options.onTorrentsChanged(entries.map(([hash]) => hash))
      return outcomes
    },
    async removeTorrents(hashes) {
      const outcomes = await torrents.remove(hashes)
      options.onTorrentsChanged(hashes)
      return outcomes
    },
    topTorrents: async count => torrents.top(count),
    page: async (list, cursor, count) => readPage(options.engine, list, cursor, count),
    listed: async (list, hashes) => parts[list].has(hashes),
    addListed: (list, hashes) => parts[list].add(hashes),
    removeListed: (list, hashes) => parts[list].remove(hashes),
    clearList: list => parts[list].clear(),
    keys: async hashes => keys.of(hashes),
    setKeys: async entries => keys.set(entries),
    removeKeys: async hashes => keys.remove(hashes),
    clearKeys: async () => keys.clear(),
    userKeys: async ids => users.keysOf(ids),
    users: async keys => users.of(keys),
    setUsers: async entries => users.set(entries),
    removeUsers: async keys => users.remove(keys),
    clearUsers: async () => users.clear(),
    account: async key => users.reports.account(key),
    flaggedUsers: count => users.reports.flagged(count),
    clearFlags: key => users.reports.clearFlags(key),
    userTorrents: (...args) => users.reports.torrentsOf(...args),
    torrentUsers: (...args) => users.reports.usersOf(...args),
    factors: async (cursor, count) => users.factors.list(cursor, count),
    setFactors: entries => users.factors.set(entries),
    removeFactors: entries => users.factors.remove(entries),
    signalRtc: async request => rtcTorrents.announce(request),
    reloadLists: options.reloadLists,
    stats: async () => options.stats(),
    overview: () => overview.read(),
    metrics: options.metrics,
    ready: async () => options.isReady(),
    ...options.certificates,
  }
}
