import { setDead } from '../engine/dead-workers.ts'
import type { Engine } from '../engine/engine.ts'
import { createLeaveCursor, type LeaveCursor, leaveSlice } from '../engine/leave.ts'
import { setNodeDown, setNodeUp } from '../engine/peer-leases.ts'
import { NODE_NUMBERS, workerOfNode } from '../protocol/connection.ts'
import { DELTA_ADDRESS, DELTA_BITS, DELTA_FAMILY_BITS } from '../protocol/delta-record.ts'
import { CONNECTION_WORKER, Family } from '../protocol/records.ts'

/** A node from its start, at the Unix second `epoch`, to its end. */
export type Run = { readonly name: string; readonly epoch: number; readonly number: number }

/**
 * Seconds in which the other nodes learn that this node is up, or that it did not hear of them.
 * Until then, they may leave announces out.
 */
export const LEASE_MARGIN_SECONDS = 30

/** Longest time in which the removal of peers delays batches. */
const SLICE_MILLIS_MAX = 1

/**
 * The peers of other nodes in the tables of this one. Each run of a node has a number, which the
 * connections of its WebSocket peers contain (protocol/connection.ts), and the leases of its other
 * peers (engine/tables/lease.ts). When the run ends or the node is silent, its WebSocket peers are
 * removed: nothing can be relayed to them then. The other peers live for the timeout from then on.
 * A node that was silent has another number afterwards, so that peers which left meanwhile do not
 * return.
 */
export class RemoteSockets {
  readonly #engine: Engine
  readonly #nowSeconds: () => number
  readonly #byName = new Map<string, Run>()
  readonly #byNumber = new Map<number, Run>()
  #last = 0
  #cursor: LeaveCursor | undefined

  constructor(engine: Engine, nowSeconds: () => number) {
    this.#engine = engine
    this.#nowSeconds = nowSeconds
  }

  /**
   * The run of the node, which gets a number if it is new. Undefined if the node has a later run.
   */
  runOf(name: string, epoch: number): Run | undefined {
    const known = this.#byName.get(name)
    if (known?.epoch === epoch) return known
    if (known && known.epoch > epoch) return undefined
    if (known) this.forget(name)
    do this.#last = (this.#last % (NODE_NUMBERS - 1)) + 1
    while (this.#byNumber.has(this.#last))
    const run = { name, epoch, number: this.#last }
    setDead(this.#engine.deadWorkers, workerOfNode(run.number, 0), false)
    setNodeUp(this.#engine.leases, run.number)
    this.#byName.set(name, run)
    this.#byNumber.set(run.number, run)
    return run
  }

  /** The run with this number, as long as its peers are in the tables. */
  numbered(number: number): Run | undefined {
    return this.#byNumber.get(number)
  }

  /** Removes the WebSocket peers of a node; the others time out. */
  forget(name: string): void {
    const run = this.#byName.get(name)
    if (!run) return
    this.#byName.delete(name)
    this.#byNumber.delete(run.number)
    setDead(this.#engine.deadWorkers, workerOfNode(run.number, 0), true)
    setNodeDown(this.#engine.leases, run.number, this.#nowSeconds() + LEASE_MARGIN_SECONDS)
    const isRunning = this.#cursor !== undefined
    this.#cursor = createLeaveCursor(0, 1)
    if (!isRunning) setImmediate(() => this.#removePeers())
  }

  #removePeers(): void {
    const cursor = this.#cursor
    if (!cursor) return
    const until = performance.now() + SLICE_MILLIS_MAX
    let isDone = false
    while (!isDone && performance.now() < until) isDone = leaveSlice(this.#engine, cursor)
    if (isDone) this.#cursor = undefined
    else setImmediate(() => this.#removePeers())
  }
}

/**
 * Makes the connection in the delta at `at` one of the run, if the delta is of a WebSocket peer.
 * Returns false for such a delta of a run that has ended.
 */
export function adoptConnection(bytes: Buffer, at: number, run: Run | undefined): boolean {
  if ((bytes.readUInt8(at + DELTA_BITS) & DELTA_FAMILY_BITS) !== Family.websocket) return true
  if (!run) return false
  const place = at + DELTA_ADDRESS + CONNECTION_WORKER
  bytes.writeUInt32LE(workerOfNode(run.number, bytes.readUInt32LE(place)), place)
  return true
}
