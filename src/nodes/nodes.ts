import { Worker } from 'node:worker_threads'
import type { SharedDeltaRing } from '../engine/delta-ring.ts'
import type { EngineRules } from '../engine/engine.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { threadUrl } from '../thread-url.ts'
import type { FromNodesThread, NodesState, NodesThreadStart, ToNodesThread } from './messages.ts'
import { collectNodes } from './node-samples.ts'

export type NodesOptions = {
  readonly start: Omit<NodesThreadStart, 'rounds'>
  readonly log: Logger
  /** Called when the thread ends that was not stopped: it may have held a lock. */
  readonly died: (name: string, error: unknown) => void
}

/** Longest wait for the thread to leave the other nodes. */
const STOP_MILLIS_MAX = 3000

/** The other nodes, as the main thread sees them. */
export class Nodes implements Part {
  readonly #worker: Worker
  readonly #options: NodesOptions
  readonly #rounds = new Int32Array(new SharedArrayBuffer(4))
  readonly #exited: Promise<void>
  #isStopping = false
  #state: NodesState | undefined
  /** Carries out an administrative change of another node. */
  onChange: (change: Uint8Array) => void = () => {}
  /** Reads lists, keys and users again. */
  onMissed: () => void = () => {}

  constructor(options: NodesOptions) {
    this.#options = options
    const workerData: NodesThreadStart = { ...options.start, rounds: this.#rounds }
    const url = threadUrl('./thread', import.meta.url)
    this.#worker = new Worker(url, { workerData, name: 'nodes' })
    let reason: unknown
    this.#worker.on('error', error => {
      reason = error
    })
    this.#worker.on('message', (message: FromNodesThread) => this.#take(message))
    this.#exited = new Promise(resolve => {
      this.#worker.once('exit', () => {
        if (!this.#isStopping) options.died('nodes', reason)
        resolve()
      })
    })
  }

  get name(): string {
    return this.#options.start.name
  }

  get watched(): { readonly name: string; rounds(): number } {
    return { name: 'nodes', rounds: () => Atomics.load(this.#rounds, 0) }
  }

  /** The state half a second ago at most; undefined before the first one. */
  get state(): NodesState | undefined {
    return this.#state
  }

  isHealthy(): boolean {
    return this.#state?.joined === true
  }

  #take(message: FromNodesThread): void {
    const { log } = this.#options
    if (message.type === 'state') this.#state = message.state
    else if (message.type === 'log') log[message.level](message.fields, message.message)
    else if (message.type === 'change') this.onChange(message.change)
    else this.onMissed()
  }

  /** The last snapshot is restored; `since` is its Unix second, 0 where there is none. */
  restored(since: number): void {
    this.#post({ type: 'restored', since })
  }

  setRules(rules: EngineRules, digest: string): void {
    this.#post({ type: 'rules', rules, digest })
  }

  /** Tells the other nodes of an administrative change. */
  publish(change: Uint8Array): void {
    this.#post({ type: 'change', change })
  }

  collect(samples: Samples): void {
    if (this.#state) collectNodes(samples, this.#state)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#post({ type: 'stop' })
    await Promise.race([
      this.#exited,
      new Promise(resolve => setTimeout(resolve, STOP_MILLIS_MAX).unref()),
    ])
  }

  #post(message: ToNodesThread): void {
    this.#worker.postMessage(message)
  }
}

/** A ring for each thread that answers announces, where there are other nodes. */
export type Rings = readonly SharedDeltaRing[]
