import { type RestoreOptions, restoreSnapshot } from './read.ts'
import { type RestoreReport, SnapshotError, type WriteReport } from './report.ts'
import { type WriteOptions, writeSnapshot } from './write.ts'

/** Result of a job. Errors lose their class between threads, so expected ones are values. */
export type Outcome<Report> = { readonly report: Report } | { readonly failure: string }

/** Entry point of the pool's thread for a write. */
export function write(options: WriteOptions): Promise<Outcome<WriteReport>> {
  return outcomeOf(writeSnapshot(options))
}

/** Entry point of the pool's thread for a restore. */
export function restore(options: RestoreOptions): Promise<Outcome<RestoreReport>> {
  return outcomeOf(restoreSnapshot(options))
}

async function outcomeOf<Report>(work: Promise<Report>): Promise<Outcome<Report>> {
  try {
    return { report: await work }
  } catch (error) {
    if (error instanceof SnapshotError) return { failure: error.message }
    throw error
  }
}
