import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../engine/engine.ts'
import { readFamilies } from '../engine/family-counts.ts'
import { type ListedTorrent, readTorrent, torrentsOfStripe } from '../engine/inspect.ts'
import type { Part } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { Samples } from '../metrics/samples.ts'
import { BATCH_TORRENTS, type CachedCounts, type CountStore } from './store.ts'

/** Seconds in which every entry is written once, where entries do not expire. */
const REFRESH_SECONDS = 300
/** Longest wait after a failure, in seconds. */
const RETRY_SECONDS_MAX = 60
/** Time for the last pass at the end, in milliseconds. */
const STOP_MILLIS = 3000
/** Changes by the API that wait for the next pass. More are found by the refresh. */
const NOTED_MAX = 100_000
/** Stripes that are read before other work of this thread runs. */
const STRIPES_AT_ONCE = 8

export type PublisherOptions = {
  readonly engine: Engine
  readonly store: CountStore
  /** Seconds until an entry expires. 0 means never. */
  readonly ttl: number
  /** Write the counts of each address family instead of their sums. */
  readonly isSplit: boolean
  /** Maximum seconds between passes. */
  readonly interval: () => number
  readonly nowSeconds: () => number
  readonly log: Logger
}

/**
 * Writes the counts of torrents to a cache, where websites read them. Every pass writes what was
 * announced since the last one, and refreshes a part of all torrents with peers, so that each is
 * written again within half of its time to live. Nothing waits for the cache: a pass that fails is
 * repeated later, with all torrents.
 */
export class CountPublisher implements Part {
  readonly #options: PublisherOptions
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  /** Info hashes that the API changed or removed. */
  readonly #noted = new Set<string>()
  /** Unix seconds at the start of the last complete pass. */
  #since = 0
  /** The stripe at which the next refresh begins. */
  #refreshAt = 0
  #isHealthy = true
  #mustWriteAll = true
  #writes = 0
  #failures = 0
  #torrents = 0

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** The API changed or removed these torrents: the next pass writes or removes their entries. */
  note(hashes: readonly string[]): void {
    for (const hash of hashes) {
      if (this.#noted.size < NOTED_MAX) this.#noted.add(hash)
    }
  }

  collect(samples: Samples): void {
    samples.add('muster_cache_up', this.#isHealthy ? 1 : 0)
    samples.add('muster_cache_writes_total', this.#writes)
    samples.add('muster_cache_failures_total', this.#failures)
    samples.add('muster_cache_torrents_total', this.#torrents)
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    const timer = new AbortController()
    const timeout = sleep(STOP_MILLIS, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([this.#running, timeout])
    timer.abort()
    this.#options.store.close()
  }

  kill(): void {
    this.#options.store.close()
  }

  /** Seconds between passes. */
  get #interval(): number {
    const { interval, ttl } = this.#options
    return ttl > 0 ? Math.min(interval(), Math.max(1, ttl / 2)) : interval()
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    let retrySeconds = 1
    // The last pass comes after the signal.
    while (!signal.aborted) {
      const seconds = this.#isHealthy && !this.#mustWriteAll ? this.#interval : retrySeconds
      await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined)
      await this.#pass()
      retrySeconds = this.#isHealthy ? 1 : Math.min(retrySeconds * 2, RETRY_SECONDS_MAX)
    }
  }

  async #pass(): Promise<void> {
    const { log, nowSeconds } = this.#options
    const begun = nowSeconds()
    try {
      await this.#writeNoted()
      await this.#writeStripes()
    } catch (error) {
      this.#failures++
      this.#mustWriteAll = true
      if (this.#isHealthy) log.error({ err: error }, 'cannot write counts to the cache; retrying')
      this.#isHealthy = false
      return
    }
    if (!this.#isHealthy) log.info('the cache is reachable again')
    this.#isHealthy = true
    this.#mustWriteAll = false
    this.#since = begun
    this.#writes++
  }

  async #writeNoted(): Promise<void> {
    const { engine, store } = this.#options
    const present: CachedCounts[] = []
    const removed: string[] = []
    const noted = [...this.#noted]
    for (const hash of noted) {
      const counts = readTorrent(engine, Buffer.from(hash, 'hex'))
      if (counts) present.push(this.#cached({ hash: Buffer.from(hash, 'hex'), ...counts }))
      else removed.push(hash)
    }
    await this.#write(present)
    for (let n = 0; n < removed.length; n += BATCH_TORRENTS) {
      await store.remove(removed.slice(n, n + BATCH_TORRENTS))
    }
    for (const hash of noted) this.#noted.delete(hash)
  }

  async #writeStripes(): Promise<void> {
    const { engine } = this.#options
    const { stripeCount } = engine
    const first = this.#refreshAt
    const refreshed = this.#mustWriteAll ? stripeCount : this.#stripesToRefresh()
    let waiting: CachedCounts[] = []
    for (let stripe = 0; stripe < stripeCount; stripe++) {
      const isRefreshed = (stripe - first + stripeCount) % stripeCount < refreshed
      for (const torrent of this.#torrentsOf(stripe, isRefreshed)) {
        waiting.push(this.#cached(torrent))
      }
      if (waiting.length >= BATCH_TORRENTS) {
        await this.#write(waiting)
        waiting = []
      }
      if (stripe % STRIPES_AT_ONCE === STRIPES_AT_ONCE - 1) await setImmediate()
    }
    await this.#write(waiting)
    this.#refreshAt = (first + refreshed) % stripeCount
  }

  /** Stripes of a pass, so that all are refreshed in half of the time to live. */
  #stripesToRefresh(): number {
    const { engine, ttl } = this.#options
    const seconds = ttl > 0 ? ttl / 2 : REFRESH_SECONDS
    return Math.min(
      engine.stripeCount,
      Math.ceil((engine.stripeCount * this.#interval) / Math.max(1, seconds)),
    )
  }

  #torrentsOf(stripe: number, isRefreshed: boolean): ListedTorrent[] {
    const { engine, nowSeconds, ttl } = this.#options
    const since = this.#since
    if (!isRefreshed) return torrentsOfStripe(engine, stripe, ({ active }) => active >= since)
    // A torrent whose last peer timed out is written once more, with zeros.
    const { peersTimeout } = engine.settings
    const recent = nowSeconds() - peersTimeout - 2 * REFRESH_SECONDS - 2 * ttl
    return torrentsOfStripe(
      engine,
      stripe,
      ({ active, peers }) => ttl === 0 || peers > 0 || active >= recent,
    )
  }

  #cached({
    hash,
    seeders,
    leechers,
    completed,
  }: Omit<ListedTorrent, 'isKept' | 'unwritten'>): CachedCounts {
    const { engine, isSplit } = this.#options
    const families = isSplit ? readFamilies(engine, hash) : undefined
    return { hash: hash.toString('hex'), seeders, leechers, completed, families }
  }

  async #write(list: readonly CachedCounts[]): Promise<void> {
    for (let n = 0; n < list.length; n += BATCH_TORRENTS) {
      const batch = list.slice(n, n + BATCH_TORRENTS)
      await this.#options.store.write(batch)
      this.#torrents += batch.length
    }
  }
}
