import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { SnapshotConfig } from '../config/config.ts'
import type { EngineSettings, EngineTables } from '../engine/engine.ts'
import { configError } from '../errors.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { SnapshotPool } from '../snapshot/pool.ts'
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
  /** Whether the users of a database are loaded. */
  readonly usersAreLoaded: boolean
  readonly log: Logger
  /** Called when the thread died, possibly with a lock. */
  readonly died: (name: string, error: unknown) => void
}

/** The snapshots of one tracker: restores the last one, and writes new ones. */
export class Snapshots implements Part {
  readonly #options: SnapshotsOptions
  readonly #file: string
  readonly #pool = new SnapshotPool()
  #lastWrite: WriteReport | undefined
  #failures = 0
  #isRestoring = true
  #timer: NodeJS.Timeout
  /**
   * Resolves when the last snapshot is restored, or could not be: to the Unix second at which it
   * was written, or 0.
   */
  readonly restored: Promise<number>

  /**
   * Restores the swarms of the last snapshot while the tracker serves, and writes a new snapshot
   * every `interval` and at the end. Throws an OperatorError if the file cannot be written.
   */
  constructor(options: SnapshotsOptions) {
    this.#options = options
    this.#file = prepareFile(options.config.path)
    this.restored = this.#restore()
    this.#timer = this.#writeEvery(options.config.interval)
  }

  /** Writes a snapshot now, unless the last one is still being restored. */
  async write(): Promise<void> {
    // Until the last swarm is restored, nothing may replace the snapshot.
    if (!this.#isRestoring) await this.#write()
  }

  setInterval(seconds: number): void {
    clearInterval(this.#timer)
    this.#timer = this.#writeEvery(seconds)
  }

  collect(samples: Samples): void {
    samples.add('muster_snapshot_failures_total', this.#failures)
    const last = this.#lastWrite
    if (!last) return
    samples.add('muster_snapshot_seconds', last.millis / 1000)
    samples.add('muster_snapshot_bytes', last.bytes)
    samples.add('muster_snapshot_timestamp_seconds', last.createdSeconds)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#pool.hurry()
    await this.write()
    await this.#pool.close()
  }

  #writeEvery(seconds: number): NodeJS.Timeout {
    return setInterval(() => this.write(), seconds * 1000)
  }

  async #restore(): Promise<number> {
    const { log, nowSeconds, settings, tables, usersAreLoaded } = this.#options
    let created = 0
    try {
      const now = nowSeconds()
      const options = { tables, settings, file: this.#file, nowSeconds: now, usersAreLoaded }
      const report = await this.#pool.restore(options)
      logRestored(report, log)
      created = report.contents?.createdSeconds ?? 0
    } catch (error) {
      this.#failed(error, 'could not restore the swarms')
    }
    this.#isRestoring = false
    return created
  }

  async #write(): Promise<void> {
    const { beforeWrite, log, nowSeconds, tables } = this.#options
    const file = this.#file
    try {
      await beforeWrite()
      const options = { tables, file, nowSeconds: nowSeconds(), share: WRITE_SHARE }
      this.#lastWrite = await this.#pool.write(options)
      const { bytes, millis, peers, torrents } = this.#lastWrite
      log.debug(
        { file, torrents, peers, size_bytes: bytes, duration_ms: millis },
        'snapshot written',
      )
    } catch (error) {
      this.#failed(error, 'could not write the snapshot')
    }
  }

  #failed(error: unknown, message: string): void {
    if (error instanceof SnapshotStopped) return
    this.#failures++
    if (error instanceof SnapshotError) this.#options.log.error({ reason: error.message }, message)
    else this.#options.died('snapshot', error)
  }
}

/** Creates the folder of the snapshot, and returns its absolute path. Throws an OperatorError. */
function prepareFile(path: string): string {
  const file = resolve(path)
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    // A FIFO or a device would block the writer forever.
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
      throw new Error('it is not a regular file')
    }
  } catch (error) {
    throw configError([
      `snapshot.path: ${JSON.stringify(path)} cannot be used: ${(error as Error).message}`,
    ])
  }
  return file
}

function logRestored(report: RestoreReport, log: Logger): void {
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
