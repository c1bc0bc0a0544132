/**
 * The ids of worker processes that have died. Their WebSocket connections are closed, so their
 * peers must be removed. One byte per id, in shared memory.
 */
export type DeadWorkers = Uint8Array<SharedArrayBuffer>

/** Ids are reused after this many workers; by then no peer of the former worker is left. */
export const WORKER_IDS = 65_536

export function createDeadWorkers(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORKER_IDS)
}

export function openDeadWorkers(memory: SharedArrayBuffer): DeadWorkers {
  return new Uint8Array(memory)
}

/** Marks the worker with this id as dead, or as starting. */
export function setDead(workers: DeadWorkers, id: number, dead: boolean): void {
  Atomics.store(workers, id % WORKER_IDS, dead ? 1 : 0)
}

export function isDead(workers: DeadWorkers, id: number): boolean {
  return Atomics.load(workers, id % WORKER_IDS) !== 0
}
