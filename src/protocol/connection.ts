/**
 * The worker of a WebSocket peer's connection (CONNECTION_WORKER in records.ts). The low 16 bits
 * have the id of the worker process, the high ones the number that this node gives to the node of
 * the process, 0 for itself. Every node numbers the others for itself.
 */

/** Ids of worker processes are below it. */
export const WORKER_IDS = 65_536
/** Numbers of nodes are below it. */
export const NODE_NUMBERS = 4095

/** The worker of a connection to the process `worker` of node `node`. */
export function workerOfNode(node: number, worker: number): number {
  return node * WORKER_IDS + (worker % WORKER_IDS)
}

/** Number of the node that the worker of a connection belongs to; 0 for this one. */
export function nodeOfWorker(worker: number): number {
  return worker >>> 16
}
