import { Piscina } from 'piscina'
import { threadUrl } from '../thread-url.ts'
import type { Outcome } from './job.ts'
import { createJobWords, JobWord, signalJobs, throwIfStopped } from './job-words.ts'
import type { RestoreOptions } from './read.ts'
import { type RestoreReport, SnapshotError, type WriteReport } from './report.ts'
import type { WriteOptions } from './write.ts'

const IDLE_MILLIS_MAX = 1000

/**
 * One thread for snapshots, which exits after `idleMillis` without a job. Jobs reject with a
 * SnapshotError for failures that an operator can fix. Any other rejection means that the thread
 * died, possibly with a stripe's lock, and the process must exit as after the death of an engine
 * thread.
 */
export class SnapshotPool {
  readonly #words = createJobWords()
  readonly #pool: Piscina
  readonly #jobs = new Set<Promise<unknown>>()

  constructor(idleMillis = IDLE_MILLIS_MAX) {
    this.#pool = new Piscina({
      filename: threadUrl('./job', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMillis,
    })
  }

  /** Runs `writeSnapshot` in the thread, after earlier jobs, so no partial restore is written. */
  write(options: Omit<WriteOptions, 'words'>): Promise<WriteReport> {
    return this.#run('write', options)
  }

  /** Runs `restoreSnapshot` in the thread. */
  restore(options: Omit<RestoreOptions, 'words'>): Promise<RestoreReport> {
    return this.#run('restore', options)
  }

  /** Makes the current and all later jobs run without pauses. */
  hurry(): void {
    signalJobs(this.#words, JobWord.hurry)
  }

  /** Stops the current job, which rejects with SnapshotStopped and changes no file. */
  async close(): Promise<void> {
    signalJobs(this.#words, JobWord.stop)
    // A thread must not be terminated while it may hold a stripe's lock. A stopped job soon
    // returns.
    await Promise.allSettled(this.#jobs)
    await this.#pool.close()
  }

  async #run<Report>(name: string, options: object): Promise<Report> {
    throwIfStopped(this.#words)
    const run: Promise<Outcome<Report>> = this.#pool.run(
      { ...options, words: this.#words },
      { name },
    )
    this.#jobs.add(run)
    const outcome = await run.finally(() => this.#jobs.delete(run))
    if ('report' in outcome) return outcome.report
    throwIfStopped(this.#words)
    throw new SnapshotError(outcome.failure)
  }
}
