import type { Applier } from '../engine/apply.ts'
import type { Bus } from './bus.ts'
import type { Log, NodeCounters } from './messages.ts'
import { fetchSince } from './sync-fetch.ts'

export type TransfersOptions = {
  readonly bus: Bus
  readonly applier: Applier
  readonly nowSeconds: () => number
  readonly log: Log
  readonly subjectOf: (node: string) => string
  readonly isUp: (node: string) => boolean
  readonly beforeMerge: () => void
  readonly counters: NodeCounters
}

/** The transfers that this node needs from others: one transfer after the other. */
export class Transfers {
  readonly #options: TransfersOptions
  /** Unix second for each node. */
  readonly #wanted = new Map<string, number>()
  #isRunning = false

  constructor(options: TransfersOptions) {
    this.#options = options
  }

  /** Fetches what `node` knows since `since`, at once or when it can be reached. */
  want(node: string, since: number): void {
    const known = this.#wanted.get(node)
    this.#wanted.set(node, known === undefined ? since : Math.min(known, since))
    this.resume()
  }

  /** Goes on with what could not be fetched. */
  resume(): void {
    if (!this.#isRunning) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (const [node, since] of this.#wanted) {
      if (!this.#options.bus.isUp || !this.#options.isUp(node)) continue
      this.#wanted.delete(node)
      if (!(await this.fetch(node, since))) {
        this.want(node, since)
        break
      }
    }
    this.#isRunning = false
  }

  /** Resolves to whether the transfer was complete. */
  async fetch(node: string, since: number): Promise<boolean> {
    const { counters, log, subjectOf } = this.#options
    const begun = performance.now()
    try {
      const { bytes, imported } = await fetchSince({
        ...this.#options,
        node,
        subject: subjectOf(node),
        since,
      })
      counters.transfers++
      const { expired, newer, peers, refused, torrents } = imported
      const duration_ms = Math.round(performance.now() - begun)
      log(
        'info',
        { node, since, bytes, torrents, peers, newer, expired, refused, duration_ms },
        'fetched the swarms of a node',
      )
      return true
    } catch (error) {
      counters.failedTransfers++
      const reason = (error as Error).message
      log('warn', { node, reason }, 'could not fetch the swarms of a node; will try again')
      return false
    }
  }
}
