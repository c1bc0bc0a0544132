import t from 'tap'
import {
  createJobWords,
  createPace,
  JobWord,
  signalJobs,
  throwIfStopped,
} from '../../src/snapshot/job-words.ts'
import { SnapshotStopped } from '../../src/snapshot/report.ts'

/** Uses the processor for so many milliseconds. */
function work(millis: number): void {
  const end = performance.now() + millis
  while (performance.now() < end);
}

/** Milliseconds that `act` takes. */
function millisOf(act: () => void): number {
  const begun = performance.now()
  act()
  return performance.now() - begun
}

t.test('a job pauses in proportion to its work', async t => {
  const rest = createPace(0.01, createJobWords())
  work(0.2)
  t.ok(millisOf(rest) >= 0.2 * 99)
})

t.test('a step that was interrupted counts as a short one', async t => {
  const words = createJobWords()
  const rest = createPace(0.01, words)
  work(1000)
  t.ok(millisOf(rest) < 1000 * 99)
})

t.test('a job stops pausing after a signal to hurry or to stop', async t => {
  for (const word of Object.values(JobWord)) {
    const words = createJobWords()
    const rest = createPace(1e-9, words)
    signalJobs(words, word)
    work(0.2)
    rest()
    t.equal(Atomics.load(words, JobWord.hurry), 1)
  }
})

t.test('a job stops only after a signal to stop', async t => {
  const words = createJobWords()
  throwIfStopped(words)
  signalJobs(words, JobWord.hurry)
  throwIfStopped(words)
  signalJobs(words, JobWord.stop)
  t.throws(() => throwIfStopped(words), new SnapshotStopped())
})
