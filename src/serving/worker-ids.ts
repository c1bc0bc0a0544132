import { type DeadWorkers, setDead } from '../engine/dead-workers.ts'
import { WORKER_IDS } from '../protocol/connection.ts'

/**
 * Ids of worker processes. The connection of a WebSocket peer contains the id of its process. 0 is
 * a process without workers.
 */
export type WorkerNumbers = {
  /** Returns an unused id. */
  next(): number
  /** Marks the process as dead, so that its WebSocket peers are removed. */
  release(number: number): void
}

/** `removePeers` removes the peers of the processes that are marked as dead. */
export function createWorkerNumbers(workers: DeadWorkers, removePeers: () => void): WorkerNumbers {
  const running = new Set<number>([0])
  let last = 0
  return {
    next() {
      do last = (last + 1) % WORKER_IDS
      while (running.has(last))
      running.add(last)
      setDead(workers, last, false)
      return last
    },
    release(number) {
      running.delete(number)
      setDead(workers, number, true)
      removePeers()
    },
  }
}
