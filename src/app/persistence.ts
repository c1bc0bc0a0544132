import type { Admin, ProcessNumbers, Stats } from '../admin/admin.ts'
import { type Administration, createAdministration } from '../admin/operations.ts'
import { SAMPLE_SECONDS } from '../admin/overview.ts'
import { WriteBehind } from '../admin/write-behind.ts'
import type { Config } from '../config/config.ts'
import { openDatabase } from '../database/open.ts'
import type { Engine } from '../engine/engine.ts'
import { ExitStatus } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { clientOfPeerId } from '../protocol/peer-client.ts'
import { musterVersion } from '../version.ts'

export type KeepingOptions = {
  readonly config: Config
  readonly engine: Engine
  readonly nowSeconds: () => number
  readonly log: Logger
  readonly stats: () => Stats
  readonly metrics: () => Promise<string>
  readonly processes: () => readonly ProcessNumbers[]
  readonly isReady: () => boolean
  readonly certificates: Pick<Admin, 'certificates' | 'reloadCertificates'>
}

/** What outlives the process: the database with all that is administered, and the counts written to it. */
export type Keeping = Part & {
  readonly administration: Administration
  /** Undefined without a database. */
  readonly writeBehind: WriteBehind | undefined
  /** When ended keys were last removed, in Unix seconds; 0 before the first time. */
  readonly keysCleanedSeconds: number
  /** Goes by the intervals of `config` from now on. */
  setIntervals(config: Config): void
}

/**
 * Opens the database, makes its tables where they are SQLite's own, enters what it holds, and keeps it up to date from then on. Rejects with
 * an OperatorError.
 */
export async function startKeeping(options: KeepingOptions): Promise<Keeping> {
  const { config, engine, log, nowSeconds } = options
  const { database: settings, database_structure: structure } = config
  const database = settings.persistent ? await openDatabase(settings, structure) : undefined
  let writeBehind: WriteBehind | undefined
  const administration = createAdministration({
    ...options,
    database,
    keepTorrents: structure.torrents.persistent,
    torrentRules: {
      insertVacant: settings.insert_vacant,
      removeAction: settings.remove_action,
      updateCompleted: settings.update_completed,
      updatePeers: settings.update_peers,
      get peersTimeout() {
        return engine.settings.peersTimeout
      },
    },
    overview: {
      version: musterVersion(),
      database: () =>
        writeBehind && {
          engine: settings.engine,
          healthy: writeBehind.healthy,
          failures: writeBehind.failures,
          written: writeBehind.writtenSeconds,
        },
      processes: options.processes,
      clientOf: clientOfPeerId,
    },
  })
  try {
    if (settings.engine === 'sqlite3') await database?.createTables()
    await database?.checkTables()
    const loaded = await administration.load()
    if (database) log.info(loaded, 'database loaded')
  } catch (error) {
    await database?.close()
    throw database ? database.explain(error) : error
  }
  let interval = settings.persistent_interval
  const { flushes } = administration
  writeBehind =
    database &&
    new WriteBehind(
      flushes,
      () => database.ping(),
      () => interval,
      nowSeconds,
      log,
    )
  let keysCleanedSeconds = 0
  const removeEnded = async () => {
    try {
      await administration.keys.removeEnded()
      keysCleanedSeconds = nowSeconds()
    } catch (error) {
      log.error({ err: error }, 'could not delete expired keys')
    }
  }
  const removeEvery = (seconds: number) => setInterval(removeEnded, seconds * 1000)
  let cleanup = removeEvery(config.tracker_config.keys_cleanup_interval)
  const sampling = setInterval(administration.overview.takeSample, SAMPLE_SECONDS * 1000)
  return {
    administration,
    writeBehind,
    get keysCleanedSeconds() {
      return keysCleanedSeconds
    },
    setIntervals({ database: settings, tracker_config: tracker }) {
      interval = settings.persistent_interval
      clearInterval(cleanup)
      cleanup = removeEvery(tracker.keys_cleanup_interval)
    },
    async stop() {
      clearInterval(cleanup)
      clearInterval(sampling)
      const written = (await writeBehind?.stop()) ?? true
      await database?.close()
      return written ? ExitStatus.ok : ExitStatus.unavailable
    },
  }
}
