import type { ProcessNumbers, Stats } from '../admin/admin.ts'
import { type Administration, createAdministration } from '../admin/operations.ts'
import { SAMPLE_SECONDS } from '../admin/overview.ts'
import { startWriteBehind, type WriteBehind } from '../admin/write-behind.ts'
import type { Config } from '../config/config.ts'
import { openDatabase } from '../database/open.ts'
import type { Engine } from '../engine/engine.ts'
import { clientOfPeerId } from '../frontends/api/peer-client.ts'
import type { Logger } from '../log.ts'
import { musterVersion } from '../version.ts'
import type { Part } from './parts.ts'

export type KeepingOptions = {
  readonly config: Config
  readonly engine: Engine
  readonly nowSeconds: () => number
  readonly log: Logger
  readonly stats: () => Stats
  readonly metrics: () => Promise<string>
  readonly processes: () => readonly ProcessNumbers[]
  readonly isReady: () => boolean
}

/** What outlives the process: the database with all that is administered, and the counts written to it. */
export type Keeping = Part & {
  readonly administration: Administration
  /** Undefined without a database. */
  readonly writeBehind: WriteBehind | undefined
  /** When ended keys were last removed, in Unix seconds; 0 before the first time. */
  readonly keysCleanedSeconds: number
}

/**
 * Opens the database, makes its tables where they are SQLite's own, enters what it holds, and keeps it up to date from then on. Rejects with
 * an OperatorError.
 */
export async function startKeeping(options: KeepingOptions): Promise<Keeping> {
  const { config, log, nowSeconds } = options
  const { database: settings, database_structure: structure, tracker_config: tracker } = config
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
      peersTimeout: tracker.peers_timeout,
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
    throw error
  }
  const interval = settings.persistent_interval
  const { flushes } = administration
  writeBehind = database && startWriteBehind(flushes, interval, nowSeconds, log)
  let keysCleanedSeconds = 0
  const cleanup = setInterval(async () => {
    try {
      await administration.keys.removeEnded()
      keysCleanedSeconds = nowSeconds()
    } catch (error) {
      log.error({ err: error }, 'ended keys could not be removed')
    }
  }, tracker.keys_cleanup_interval * 1000)
  const sampling = setInterval(administration.overview.takeSample, SAMPLE_SECONDS * 1000)
  return {
    administration,
    writeBehind,
    get keysCleanedSeconds() {
      return keysCleanedSeconds
    },
    async stop() {
      clearInterval(cleanup)
      clearInterval(sampling)
      await writeBehind?.stop()
      await database?.close()
    },
  }
}
