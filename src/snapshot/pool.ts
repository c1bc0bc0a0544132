import { Piscina } from 'piscina'
import { threadUrl } from '../thread-url.ts'
import type { Outcome } from './job.ts'
import { createJobWords, JobWord, sayToJobs, throwIfStopped } from './job-words.ts'
import type { RestoreOptions } from './read.ts'
import { type RestoreReport, SnapshotError, type WriteReport } from './report.ts'
import type { WriteOptions } from './write.ts'

const IDLE_MILLIS_MAX = 1000

export type SnapshotPool = {
  /**
   * Like `writeSnapshot`, in a thread. Waits for earlier jobs, so no partial restore is written.
   */
  write(options: Omit<WriteOptions, 'words'>): Promise<WriteReport>
  /** Like `restoreSnapshot`, in a thread. */
  restore(options: Omit<RestoreOptions, 'words'>): Promise<RestoreReport>
  /** Makes the current and all later jobs run without pauses. */
  hurry(): void
  /**
   * Stops the current job, which rejects with SnapshotStopped and changes no file, and the thread.
   */
  close(): Promise<void>
}

/**
 * One thread for snapshots, which exits after `idleMillis` without a job. Jobs reject with a
 * SnapshotError for failures that an operator can fix. Any other rejection means that the thread
 * died, possibly with a stripe's lock, and the process must exit as after the death of an engine
 * thread.
 */
export function createSnapshotPool(idleMillis = IDLE_MILLIS_MAX): SnapshotPool {
  const words = createJobWords()
  const pool = new Piscina({
    filename: threadUrl('./job', import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: idleMillis,
  })
  const jobs = new Set<Promise<unknown>>()
  const run = async <Report>(name: string, options: object): Promise<Report> => {
    throwIfStopped(words)
    const job: Promise<Outcome<Report>> = pool.run({ ...options, words }, { name })
    jobs.add(job)
    const outcome = await job.finally(() => jobs.delete(job))
    if ('report' in outcome) return outcome.report
    throwIfStopped(words)
    throw new SnapshotError(outcome.failure)
  }
  return {
    write: options => run('write', options),
    restore: options => run('restore', options),
    hurry: () => sayToJobs(words, JobWord.hurry),
    async close() {
      sayToJobs(words, JobWord.stop)
      // A thread must not be terminated while it may hold a stripe's lock. A stopped job soon
      // returns.
      await Promise.allSettled(jobs)
      await pool.close()
    },
  }
}
