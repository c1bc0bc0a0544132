import { join } from 'node:path'
import { type MessagePort, Worker } from 'node:worker_threads'
import { createEngineCounters } from '../counters/engine.ts'
import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules } from '../engine/engine.ts'
import type { Part } from '../lifecycle.ts'
import { threadUrl } from '../thread-url.ts'
import type { EngineThreadStart, ToEngineThread } from './messages.ts'
import { collectEngineThreads } from './thread-samples.ts'
import type { WatchedThread } from './watchdog.ts'

export type EngineThreads = Part & {
  /** Resolves when all threads serve. */
  readonly ready: Promise<void>
  readonly watched: readonly WatchedThread[]
  /** Path of the socket for the links of worker or frontend number `n`. */
  socketPathFor(n: number): string
  /** Gives the first thread a link of this process. */
  link(port: MessagePort): void
  /** Removes the WebSocket peers of workers that were marked as dead. */
  takeOutGone(): void
  /** Applies `rules` from now on, with a full sweep every `sweepSeconds`. */
  setRules(rules: EngineRules, sweepSeconds: number): void
}

export type EngineThreadsStart = Omit<
  EngineThreadStart,
  'index' | 'ring' | 'socketPath' | 'rounds' | 'counters'
> & {
  /** One for each thread where there are other nodes, else none. */
  readonly rings?: readonly SharedDeltaRing[]
}

/**
 * Starts the engine threads. `died` is called when a thread ends without being stopped: it may have
 * held a lock, so this process cannot continue.
 */
export function startEngineThreads(
  start: EngineThreadsStart,
  folder: string,
  died: (index: number, error: unknown) => void,
): EngineThreads {
  let stopping = false
  const socketPathFor = (n: number) => join(folder, `engine-${n % start.threads}.sock`)
  const threads = Array.from({ length: start.threads }, (_, index) => {
    const counters = createEngineCounters()
    const rounds = new Int32Array(new SharedArrayBuffer(4))
    const workerData: EngineThreadStart = {
      ...start,
      index,
      ring: start.rings?.[index],
      socketPath: socketPathFor(index),
      rounds,
      counters,
    }
    const name = `engine-${index}`
    const worker = new Worker(threadUrl('./engine-thread', import.meta.url), {
      workerData,
      name,
    })
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    const gone = new Promise<void>(resolve => {
      worker.once('exit', () => {
        if (!stopping) died(index, reason)
        resolve()
      })
    })
    const ready = new Promise<void>(resolve => worker.once('message', () => resolve()))
    const watched = { name, rounds: () => Atomics.load(rounds, 0) }
    return { worker, gone, ready, watched, counters }
  })
  return {
    ready: Promise.all(threads.map(({ ready }) => ready)).then(() => {}),
    watched: threads.map(({ watched }) => watched),
    collect(samples) {
      collectEngineThreads(
        samples,
        threads.map(({ counters }) => counters),
      )
    },
    socketPathFor,
    link: port =>
      threads[0]?.worker.postMessage({ type: 'link', port } satisfies ToEngineThread, [port]),
    takeOutGone() {
      for (const { worker } of threads) {
        worker.postMessage({ type: 'workers-gone' } satisfies ToEngineThread)
      }
    },
    setRules(rules, sweepSeconds) {
      for (const { worker } of threads)
        worker.postMessage({ type: 'rules', rules, sweepSeconds } satisfies ToEngineThread)
    },
    async stop() {
      stopping = true
      for (const { worker } of threads)
        worker.postMessage({ type: 'stop' } satisfies ToEngineThread)
      await Promise.all(threads.map(({ gone }) => gone))
    },
  }
}
