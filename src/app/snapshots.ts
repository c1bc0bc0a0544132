import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { SnapshotConfig } from '../config/config.ts'
import type { EngineSettings, EngineTables } from '../engine/engine.ts'
import { configError } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import { createSnapshotPool } from '../snapshot/pool.ts'
import {
  type RestoreReport,
  SnapshotError,
  SnapshotStopped,
  type WriteReport,
} from '../snapshot/report.ts'

/**
 * Share of one processor: a snapshot may take five times as long, so that announces do not wait for
 * it.
 */
export const WRITE_SHARE = 0.2

export type SnapshotsOptions = {
  /**
   * Writes counters to the database, so that they are not older than the swarms of the snapshot.
   */
  readonly beforeWrite: () => Promise<void>
  readonly config: SnapshotConfig
  readonly tables: EngineTables
  readonly settings: EngineSettings
  readonly nowSeconds: () => number
  readonly log: Logger
  /** Called when the thread died, possibly with a lock. */
  readonly died: (name: string, error: unknown) => void
}

export type Snapshots = Part & {
  /** Writes a snapshot now, unless the last one is still being restored. */
  write(): Promise<void>
  setInterval(seconds: number): void
  /**
   * Resolves when the last snapshot is restored, or could not be: to the Unix second at which it
   * was written, or 0.
   */
  readonly restored: Promise<number>
}

/**
 * Restores the swarms of the last snapshot while the tracker serves, and writes a new snapshot
 * every `interval` and at the end. Throws an OperatorError if the file cannot be written.
 */
export function startSnapshots(options: SnapshotsOptions): Snapshots {
  const { config, log, nowSeconds, settings, tables } = options
  const file = resolve(config.path)
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    // A FIFO or a device would block the writer forever.
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      throw new Error('it is not a regular file')
    }
  } catch (error) {
    throw configError([
      `snapshot.path: ${JSON.stringify(config.path)} cannot be used: ${(error as Error).message}`,
    ])
  }
  const pool = createSnapshotPool()
  let lastWrite: WriteReport | undefined
  let failures = 0
  let isRestoring = true

  function failed(error: unknown, message: string): void {
    if (error instanceof SnapshotStopped) return
    failures++
    if (error instanceof SnapshotError) log.error({ reason: error.message }, message)
    else options.died('snapshot', error)
  }

  async function restore(): Promise<number> {
    let created = 0
    try {
      const report = await pool.restore({ tables, settings, file, nowSeconds: nowSeconds() })
      tellRestored(report, log)
      created = report.contents?.createdSeconds ?? 0
    } catch (error) {
      failed(error, 'could not restore the swarms')
    }
    isRestoring = false
    return created
  }

  async function write(): Promise<void> {
    try {
      await options.beforeWrite()
      lastWrite = await pool.write({ tables, file, nowSeconds: nowSeconds(), share: WRITE_SHARE })
      const { bytes, millis, peers, torrents } = lastWrite
      log.debug(
        { file, torrents, peers, size_bytes: bytes, duration_ms: millis },
        'snapshot written',
      )
    } catch (error) {
      failed(error, 'could not write the snapshot')
    }
  }

  const restored = restore()
  // Until the last swarm is restored, nothing may replace the snapshot.
  const writeUnlessRestoring = async () => {
    if (!isRestoring) await write()
  }
  const writeEvery = (seconds: number) => setInterval(writeUnlessRestoring, seconds * 1000)
  let timer = writeEvery(config.interval)
  return {
    restored,
    write: writeUnlessRestoring,
    setInterval(seconds) {
      clearInterval(timer)
      timer = writeEvery(seconds)
    },
    collect(samples) {
      samples.add('muster_snapshot_failures_total', failures)
      if (!lastWrite) return
      samples.add('muster_snapshot_seconds', lastWrite.millis / 1000)
      samples.add('muster_snapshot_bytes', lastWrite.bytes)
      samples.add('muster_snapshot_timestamp_seconds', lastWrite.createdSeconds)
    },
    async stop() {
      clearInterval(timer)
      pool.hurry()
      await writeUnlessRestoring()
      await pool.close()
    },
  }
}

function tellRestored(report: RestoreReport, log: Logger): void {
  for (const { file, reason } of report.skipped) {
    log.error({ file, reason }, 'skipped a damaged snapshot')
  }
  if (!report.file) return
  const { expired, file, millis, newer, peers, refused, torrents } = report
  log.info(
    { file, torrents, peers, expired, newer, refused, duration_ms: millis },
    'swarms restored',
  )
}
