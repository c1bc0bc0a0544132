import { NODE_NUMBERS, nodeOfWorker, WORKER_IDS } from '../protocol/connection.ts'

/**
 * The ids of worker processes that have died, and the numbers of nodes that are unreachable
 * (protocol/connection.ts). WebSocket connections to them are closed, or cannot be used, so their
 * peers must be removed. One byte per id, then one per number, in shared memory. Both are reused
 * after all others; by then no peer of the former owner is left.
 */
export type DeadWorkers = Uint8Array<SharedArrayBuffer>

export function createDeadWorkers(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORKER_IDS + NODE_NUMBERS)
}

export function openDeadWorkers(memory: SharedArrayBuffer): DeadWorkers {
  return new Uint8Array(memory)
}

/** Offset of the byte for the worker of a connection. */
function placeOf(worker: number): number {
  const node = nodeOfWorker(worker)
  return node === 0 ? worker : WORKER_IDS + node
}

/** Marks the worker with this id, or the node of another node's worker, as dead, or as starting. */
export function setDead(workers: DeadWorkers, worker: number, dead: boolean): void {
  Atomics.store(workers, placeOf(worker), dead ? 1 : 0)
}

export function isDead(workers: DeadWorkers, worker: number): boolean {
  return Atomics.load(workers, placeOf(worker)) !== 0
}
