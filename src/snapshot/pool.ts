import { Piscina } from 'piscina'
import { threadUrl } from '../thread-url.ts'
import type { Outcome } from './job.ts'
import { createJobWords, JobWord, sayToJobs, throwIfStopped } from './job-words.ts'
import type { RestoreOptions } from './read.ts'
import { type RestoreReport, SnapshotError, type WriteReport } from './report.ts'
import type { WriteOptions } from './write.ts'

const IDLE_MILLIS_MAX = 1000

export type SnapshotPool = {
  /** As `writeSnapshot`, in a thread. Waits for what was asked for before: a restore is never written half done. */
  write(options: Omit<WriteOptions, 'words'>): Promise<WriteReport>
  /** As `restoreSnapshot`, in a thread. */
  restore(options: Omit<RestoreOptions, 'words'>): Promise<RestoreReport>
  /** What is under way, and what is asked for from now on, rests no more. */
  hurry(): void
  /** Stops what is under way, which rejects with a SnapshotStopped and leaves the files as they were, and ends the thread. */
  close(): Promise<void>
}

/**
 * One thread for snapshots, there while it is needed. Its jobs reject with a SnapshotError for what an operator can mend. Any other rejection
 * means that the thread died with a stripe's lock perhaps in its hand, and the process must end as for a dead engine thread. The thread ends when there
 * has been nothing to do for `idleMillis`.
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
      // A thread must not be ended while it may hold a stripe's lock; a stopped job soon ends by itself.
      await Promise.allSettled(jobs)
      await pool.close()
    },
  }
}
