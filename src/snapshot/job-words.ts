import { SnapshotStopped } from './report.ts'

/**
 * Two shared words that control a running job, because a thread must not be terminated while it may
 * hold a stripe's lock. Every value except 0 counts as set.
 */
export type JobWords = Int32Array<SharedArrayBuffer>

export const JobWord = { stop: 0, hurry: 1 } as const

export function createJobWords(): JobWords {
  return new Int32Array(new SharedArrayBuffer(8))
}

/** Sets a word and wakes a pausing job, which does not pause again. */
export function signalJobs(words: JobWords, word: (typeof JobWord)[keyof typeof JobWord]): void {
  Atomics.store(words, word, 1)
  Atomics.store(words, JobWord.hurry, 1)
  Atomics.notify(words, JobWord.hurry)
}

/** Throws SnapshotStopped after a request to stop. */
export function throwIfStopped(words: JobWords): void {
  if (Atomics.load(words, JobWord.stop) !== 0) throw new SnapshotStopped()
}

/** Length of the work between two pauses. It is short, so that other threads are hardly delayed. */
const WORK_MILLIS = 0.2

/**
 * Creates a function that a job calls between its steps, to use about `share` (0 to 1) of one
 * processor. It pauses in proportion to the time of the steps, until a signal to hurry. The
 * kernel may preempt a step, so a long one counts little more than a short one.
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
