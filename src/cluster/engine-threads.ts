import { once } from 'node:events'
import { join } from 'node:path'
import { type MessagePort, Worker } from 'node:worker_threads'
import { threadUrl } from '../thread-url.ts'
import type { EngineThreadStart, ToEngineThread } from './messages.ts'

export type EngineThreads = {
  /** Where the links of worker or frontend number `n` go. */
  socketPathFor(n: number): string
  /** Gives the first thread a link of this process. */
  link(port: MessagePort): void
  stop(): Promise<void>
}

/**
 * Starts the engine threads and waits until they serve. `died` is called when one ends that was not stopped: it may have held a lock, so nothing
 * can go on in this process.
 */
export async function startEngineThreads(
  start: Omit<EngineThreadStart, 'index' | 'socketPath'>,
  folder: string,
  died: (index: number, error: unknown) => void,
): Promise<EngineThreads> {
  let stopping = false
  const socketPathFor = (n: number) => join(folder, `engine-${n % start.threads}.sock`)
  const workers = Array.from({ length: start.threads }, (_, index) => {
    const workerData: EngineThreadStart = { ...start, index, socketPath: socketPathFor(index) }
    const worker = new Worker(threadUrl('./engine-thread', import.meta.url), {
      workerData,
      name: `engine-${index}`,
    })
    let reason: unknown
    worker.on('error', error => {
      reason = error
    })
    worker.on('exit', () => {
      if (!stopping) died(index, reason)
    })
    return worker
  })
  await Promise.all(workers.map(worker => once(worker, 'message')))
  return {
    socketPathFor,
    link: port => workers[0]?.postMessage({ type: 'link', port } satisfies ToEngineThread, [port]),
    async stop() {
      stopping = true
      await Promise.all(
        workers.map(async worker => {
          const gone = once(worker, 'exit')
          worker.postMessage({ type: 'stop' } satisfies ToEngineThread)
          await gone
        }),
      )
    },
  }
}
