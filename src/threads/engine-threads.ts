import { join } from 'node:path'
import { type MessagePort, Worker } from 'node:worker_threads'
import { createEngineCounters } from '../counters/engine.ts'
import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules } from '../engine/engine.ts'
import type { Part } from '../lifecycle.ts'
import { threadUrl } from '../thread-url.ts'
import { THREAD_HEAP } from '../young-generation.ts'
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
  removePeersOfDeadWorkers(): void
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
  const socketPathFor = (n: number) => join(folder, `engine-${n % start.threads}.sock`)
  const threads = Array.from({ length: start.threads }, (_, index) => {
    const ring = start.rings?.[index]
    return new EngineThread({ ...start, index, ring, socketPath: socketPathFor(index) }, died)
  })
  const counters = threads.map(thread => thread.counters)
  const post = (message: ToEngineThread) => {
    for (const thread of threads) thread.post(message)
  }
  return {
    ready: Promise.all(threads.map(({ ready }) => ready)).then(() => {}),
    watched: threads.map(({ watched }) => watched),
    collect: samples => collectEngineThreads(samples, counters),
    socketPathFor,
    link: port => threads[0]?.post({ type: 'link', port }, [port]),
    removePeersOfDeadWorkers: () => post({ type: 'workers-died' }),
    setRules: (rules, sweepSeconds) => post({ type: 'rules', rules, sweepSeconds }),
    async stop() {
      await Promise.all(threads.map(thread => thread.stop()))
    },
  }
}

class EngineThread {
  readonly counters = createEngineCounters()
  /** Resolves when the thread serves. */
  readonly ready: Promise<void>
  readonly watched: WatchedThread
  readonly #worker: Worker
  readonly #ended: Promise<void>
  #isStopping = false

  constructor(
    start: Omit<EngineThreadStart, 'rounds' | 'counters'>,
    died: (index: number, error: unknown) => void,
  ) {
    const rounds = new Int32Array(new SharedArrayBuffer(4))
    const workerData: EngineThreadStart = { ...start, rounds, counters: this.counters }
    const name = `engine-${start.index}`
    const worker = new Worker(threadUrl('./engine-thread', import.meta.url), {
      workerData,
      name,
      resourceLimits: THREAD_HEAP,
    })
    this.#worker = worker
    this.watched = { name, rounds: () => Atomics.load(rounds, 0) }
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    this.#ended = new Promise(resolve => {
      worker.once('exit', () => {
        if (!this.#isStopping) died(start.index, reason)
        resolve()
      })
    })
    this.ready = new Promise(resolve => worker.once('message', () => resolve()))
  }

  post(message: ToEngineThread, transfer: readonly MessagePort[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.post({ type: 'stop' })
    await this.#ended
  }
}
