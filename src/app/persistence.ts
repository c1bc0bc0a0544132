import type { SharedAccounts } from '../admin/accounts.ts'
import type { Admin, NodeNumbers, ProcessNumbers, ReloadedLists, Stats } from '../admin/admin.ts'
import {
  type Administration,
  type AdministrationOptions,
  createAdministration,
} from '../admin/operations.ts'
import { SAMPLE_SECONDS } from '../admin/overview.ts'
import { SharedLists } from '../admin/shared-lists.ts'
import { WriteBehind } from '../admin/write-behind.ts'
import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { Batch } from '../database/ledger-rows.ts'
import type { Engine } from '../engine/engine.ts'
import { ExitStatus } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { clientOfPeerId } from '../protocol/peer-client.ts'
import type { Exporter } from '../telemetry/exporter.ts'
import { traceAdmin } from '../telemetry/start.ts'
import { musterVersion } from '../version.ts'
import { StatisticsLog } from './statistics-log.ts'

/** Seconds that a write of another node may take. */
const WRITE_SECONDS = 5

export type PersistenceOptions = {
  readonly config: Config
  readonly engine: Engine
  readonly nowSeconds: () => number
  readonly log: Logger
  readonly stats: () => Stats
  readonly metrics: () => Promise<string>
  readonly processes: () => readonly ProcessNumbers[]
  readonly nodes: () => readonly NodeNumbers[]
  readonly isReady: () => boolean
  /** Receives what is credited to users, after it is in the database. */
  readonly onCredited?: (batch: Batch) => void
  readonly certificates: Pick<Admin, 'certificates' | 'reloadCertificates'>
  readonly onTorrentsChanged: (hashes: readonly string[]) => void
  /** Undefined without telemetry. */
  readonly exporter: Exporter | undefined
}

/**
 * Opens the database, creates the tables of SQLite, and loads their rows into memory. Rejects with
 * an OperatorError.
 */
export async function startPersistence(options: PersistenceOptions): Promise<Persistence> {
  const { config, log } = options
  const { database: settings } = config
  const database = settings.persistent ? await open(config) : undefined
  const persistence = new Persistence(options, database)
  try {
    if (settings.engine === 'sqlite3') await database?.createTables()
    await database?.checkTables()
    const loaded = await persistence.administration.load()
    if (database) log.info(loaded, 'database loaded')
  } catch (error) {
    await database?.close()
    throw database ? database.explain(error) : error
  }
  persistence.begin(config)
  return persistence
}

/** Loads the query builder, which is the largest part of a start, only where it is used. */
async function open(config: Config): Promise<Database> {
  const { openDatabase } = await import('../database/open.ts')
  const { database, database_structure: structure, tracker_config: rules } = config
  return openDatabase(database, structure, rules.key_format, sharedBy(config))
}

/** Undefined where a single node credits users. */
function sharedBy({ database, database_structure: tables, ...config }: Config) {
  if (!config.tracker_config.users_enabled || config.nodes.servers.length === 0) return undefined
  const countsDownloads = tables.torrents.persistent && database.update_completed
  return { countsDownloads, insertVacant: database.insert_vacant }
}

/** The data that outlives the process: the database with lists, keys, users and torrents. */
export class Persistence implements Part {
  readonly administration: Administration
  /** Changes that several nodes share. */
  readonly shared: SharedLists
  readonly #nowSeconds: () => number
  readonly #log: Logger
  readonly #database: Database | undefined
  readonly #statistics: StatisticsLog
  readonly #exporter: Exporter | undefined
  #writeBehind: WriteBehind | undefined
  #writeSeconds: number
  #keysCleanedSeconds = 0
  #cleanup: NodeJS.Timeout | undefined
  #sampling: NodeJS.Timeout | undefined

  constructor(options: PersistenceOptions, database: Database | undefined) {
    const { config, engine } = options
    const { database: settings, database_structure: structure } = config
    this.#nowSeconds = options.nowSeconds
    this.#log = options.log
    this.#database = database
    this.#writeSeconds = settings.persistent_interval
    this.#statistics = new StatisticsLog(options.stats, options.log)
    this.#exporter = options.exporter
    const sources = administrationOptions(
      options,
      () => this.#writeBehind,
      () => this.#reloadLists(),
      // Two intervals of another node, and the time of a write.
      sharedBy(config) && { waitSeconds: () => 2 * this.#writeSeconds + WRITE_SECONDS },
    )
    const administration = createAdministration({ ...sources, database })
    const admin = traceAdmin(administration.admin, options.exporter)
    this.administration = { ...administration, admin }
    this.shared = new SharedLists({
      engine,
      database,
      isStored: {
        whitelist: structure.whitelist.persistent,
        blacklist: structure.blacklist.persistent,
        keys: structure.keys.persistent,
        users: sharedBy(config) !== undefined && structure.users.persistent,
      },
      admin,
      local: {
        ...createAdministration({ ...sources, database: undefined }).admin,
        ...administration.received,
      },
      readUsers: isNewer => administration.users.readAgain(isNewer),
    })
  }

  async #reloadLists(): Promise<ReloadedLists> {
    const lists = await this.shared.read()
    this.shared.publishReload()
    this.#log.info(lists, 'lists and keys were read from the database again')
    return lists
  }

  /** Seconds between writes of counters, as a reload has set them. */
  get writeSeconds(): number {
    return this.#writeSeconds
  }

  /** Undefined without a database. */
  get writeBehind(): WriteBehind | undefined {
    return this.#writeBehind
  }

  /** Writes counters and deletes expired keys from now on, at the intervals of `config`. */
  begin(config: Config): void {
    const { overview } = this.administration
    const exporter = this.#exporter
    const flushes = this.administration.flushes.map(
      flush => () => (exporter ? exporter.trace('database write', {}, flush) : flush()),
    )
    const interval = () => this.#writeSeconds
    const database = this.#database
    this.#writeBehind =
      database &&
      new WriteBehind(flushes, () => database.ping(), interval, this.#nowSeconds, this.#log)
    this.#sampling = setInterval(() => overview.takeSample(), SAMPLE_SECONDS * 1000)
    this.setIntervals(config)
  }

  setIntervals({ database, log, tracker_config: tracker }: Config): void {
    this.#statistics.setInterval(log.statistics_interval)
    this.#writeSeconds = database.persistent_interval
    clearInterval(this.#cleanup)
    const millis = tracker.keys_cleanup_interval * 1000
    this.#cleanup = setInterval(() => this.#deleteExpiredKeys(), millis)
  }

  collect(samples: Samples): void {
    samples.add('muster_keys_cleanup_timestamp_seconds', this.#keysCleanedSeconds)
    const database = this.#writeBehind
    if (!database) return
    const usersWaiting = this.administration.users.waiting
    samples.add('muster_database_waiting', usersWaiting, { what: 'users' })
    const accounts = this.administration.users.accounts.collect()
    samples.add('muster_sessions', accounts.sessions)
    samples.add('muster_sessions_evicted_total', accounts.evicted)
    samples.add('muster_sessions_too_fast_total', accounts.tooFast)
    samples.add('muster_database_set_aside', accounts.setAside)
    samples.add('muster_database_up', database.healthy ? 1 : 0)
    samples.add('muster_database_writes_total', database.writes)
    samples.add('muster_database_failures_total', database.failures)
    samples.add('muster_database_rows_total', database.rows)
    samples.add('muster_database_busy_seconds_total', database.busySeconds)
    samples.add('muster_database_write_timestamp_seconds', database.writtenSeconds)
  }

  /** Resolves to a status other than 0 if counters could not be written. */
  async stop(): Promise<number> {
    clearInterval(this.#cleanup)
    clearInterval(this.#sampling)
    this.#statistics.stop()
    this.administration.users.accounts.end()
    const written = (await this.#writeBehind?.stop()) ?? true
    const isWhole = this.#database ? await writeRest(this.administration, this.#log) : true
    if (written && isWhole) await this.#storeLifetimes()
    await this.#database?.close()
    return written && isWhole ? ExitStatus.ok : ExitStatus.unavailable
  }

  async #storeLifetimes(): Promise<void> {
    try {
      await this.administration.keys.storeLifetimes()
    } catch (error) {
      this.#log.warn({ err: error }, 'could not store the remaining lifetimes of keys')
    }
  }

  async #deleteExpiredKeys(): Promise<void> {
    try {
      await this.administration.keys.removeExpired()
      this.#keysCleanedSeconds = this.#nowSeconds()
    } catch (error) {
      this.#log.error({ err: error }, 'could not delete expired keys')
    }
  }
}

/** The options of both administrations: with the database, and for changes of other nodes. */
function administrationOptions(
  options: PersistenceOptions,
  writeBehind: () => WriteBehind | undefined,
  reloadLists: () => Promise<ReloadedLists>,
  shared: SharedAccounts | undefined,
): Omit<AdministrationOptions, 'database'> {
  const { config, engine } = options
  const { database: settings, database_structure: structure } = config
  const knowsAll = createKnowsAll(options)
  return {
    ...options,
    reloadLists,
    shared,
    chunkSize: settings.chunk_size,
    sessionTtl: config.accounting.session_ttl,
    rtcTimeout: () => config.tracker_config.rtc_peers_timeout,
    storeTorrents: structure.torrents.persistent,
    torrentRules: {
      insertVacant: settings.insert_vacant,
      deleteRows: settings.remove_action,
      get deleteSilent() {
        return settings.delete_silent_torrents && knowsAll()
      },
      updateCompleted: settings.update_completed,
      updatePeers: settings.update_peers,
      get peersTimeout() {
        return engine.settings.peersTimeout
      },
    },
    overview: {
      version: musterVersion(),
      database() {
        const last = writeBehind()
        return (
          last && {
            engine: settings.engine,
            healthy: last.healthy,
            failures: last.failures,
            written: last.writtenSeconds,
          }
        )
      },
      processes: options.processes,
      nodes: options.nodes,
      clientOf: clientOfPeerId,
    },
  }
}

/** Seconds for which all nodes must be connected: fetching what was missed takes less. */
const WHOLE_SECONDS = 60

/**
 * Whether this node knows the announces to all others. A torrent that has none here may have some
 * on a node that cannot be reached.
 */
function createKnowsAll({ nodes, nowSeconds }: PersistenceOptions): () => boolean {
  let brokenSeconds = 0
  return () => {
    const now = nowSeconds()
    if (!nodes().every(({ joined, up }) => joined && up)) brokenSeconds = now
    return now - brokenSeconds >= WHOLE_SECONDS
  }
}

/** Tries once more to write what the database has rejected. Returns whether nothing is left. */
async function writeRest({ users }: Administration, log: Logger): Promise<boolean> {
  if (users.accounts.setAside === 0) return true
  try {
    await users.accounts.flushAll()
    return true
  } catch (error) {
    log.error({ err: error, users: users.accounts.setAside }, 'counters of users are lost')
    return false
  }
}
