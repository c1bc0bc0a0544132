import { isMainThread, Worker, workerData } from 'node:worker_threads'
import t from 'tap'
import { passLock, releaseLock, takeLock } from '../../../src/engine/tables/lock.ts'

/** Words behind the lock. */
const ROUNDS = 8
const STOP = 9
const HOLD_MILLIS = 0.3
const TURNS = 50

type Memory = { readonly i32: Int32Array<SharedArrayBuffer> }

/** Holds the lock again and again, with nothing in between. */
function holdForEver({ i32 }: Memory): void {
  while (Atomics.load(i32, STOP) === 0) {
    takeLock({ i32 }, 0)
    for (const until = performance.now() + HOLD_MILLIS; performance.now() < until; );
    Atomics.add(i32, ROUNDS, 1)
    passLock({ i32 }, 0)
  }
}

if (isMainThread) {
  // Without passing it on, this thread is never woken in time, and the test does not end.
  t.setTimeout(30_000)
  t.test('a lock that is passed on goes to a waiting thread', async t => {
    const memory: Memory = { i32: new Int32Array(new SharedArrayBuffer(64)) }
    const worker = new Worker(new URL(import.meta.url), { workerData: memory })
    const ended = new Promise(resolve => worker.once('exit', resolve))
    while (Atomics.load(memory.i32, ROUNDS) === 0) await new Promise(setImmediate)
    for (let turn = 0; turn < TURNS; turn++) {
      while (Atomics.load(memory.i32, 0) === 0);
      takeLock(memory, 0)
      releaseLock(memory, 0)
    }
    Atomics.store(memory.i32, STOP, 1)
    t.equal(await ended, 0)
  })
} else holdForEver(workerData as Memory)
