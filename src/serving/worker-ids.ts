import { type DeadWorkers, setDead, WORKER_IDS } from '../engine/dead-workers.ts'

/**
 * Ids of worker processes, which name the process of a WebSocket peer's connection. 0 is a process
 * without workers.
 */
export type WorkerNumbers = {
  /** An id that no process has. */
  next(): number
  /** The process is gone, and so are the peers that were connected to it. */
  gone(number: number): void
}

/** `takeOut` has the peers of processes taken out that were marked as gone. */
export function createWorkerNumbers(workers: DeadWorkers, takeOut: () => void): WorkerNumbers {
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
    gone(number) {
      running.delete(number)
      setDead(workers, number, true)
      takeOut()
    },
  }
}
