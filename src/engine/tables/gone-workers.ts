/**
 * Which of the numbers that worker processes are given belong to processes that are gone: their WebSocket connections are too, and so must
 * their peers be. A byte for each number, in shared memory.
 */
export type GoneWorkers = Uint8Array<SharedArrayBuffer>

/** Numbers begin again after so many workers; by then nothing is left of those before. */
export const WORKER_NUMBERS = 65_536

export function createGoneWorkers(): SharedArrayBuffer {
  return new SharedArrayBuffer(WORKER_NUMBERS)
}

export function openGoneWorkers(memory: SharedArrayBuffer): GoneWorkers {
  return new Uint8Array(memory)
}

/** Notes that this number is a process's that starts, or that one ended. */
export function setGone(workers: GoneWorkers, number: number, gone: boolean): void {
  Atomics.store(workers, number % WORKER_NUMBERS, gone ? 1 : 0)
}

export function isGone(workers: GoneWorkers, number: number): boolean {
  return Atomics.load(workers, number % WORKER_NUMBERS) !== 0
}
