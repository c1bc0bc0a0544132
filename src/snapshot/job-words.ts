import { SnapshotStopped } from './report.ts'

/**
 * Two words by which who asked for jobs speaks to the one under way; a thread must not be ended while it may hold a stripe's lock.
 * Not 0 is yes.
 */
export type JobWords = Int32Array<SharedArrayBuffer>

export const JobWord = { stop: 0, hurry: 1 } as const

export function createJobWords(): JobWords {
  return new Int32Array(new SharedArrayBuffer(8))
}

/** Says one of them, and rouses a job that rests. It does not rest again. */
export function sayToJobs(words: JobWords, word: (typeof JobWord)[keyof typeof JobWord]): void {
  Atomics.store(words, word, 1)
  Atomics.store(words, JobWord.hurry, 1)
  Atomics.notify(words, JobWord.hurry)
}

/** Throws SnapshotStopped once the jobs were told to stop. */
export function throwIfStopped(words: JobWords): void {
  if (Atomics.load(words, JobWord.stop) !== 0) throw new SnapshotStopped()
}

/** Work between two rests: short, so that what it takes a processor from hardly notices. */
const WORK_MILLIS = 0.2

/**
 * What a job calls between its small steps, so that it takes about `share` (0 to 1) of one processor's time: it rests in proportion to what it
 * did since, until it is told to hurry. Where the kernel let others go first meanwhile, a step is not all its work, and counts for little more
 * than a short one.
 */
export function createPace(share: number, words: JobWords): () => void {
  let begun = performance.now()
  return () => {
    const worked = performance.now() - begun
    if (worked < WORK_MILLIS || share >= 1) return
    Atomics.wait(words, JobWord.hurry, 0, Math.min(worked, 2 * WORK_MILLIS) * (1 / share - 1))
    begun = performance.now()
  }
}
