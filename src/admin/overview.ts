import type { Engine } from '../engine/engine.ts'
import { totals } from '../engine/totals.ts'
import type { NodeNumbers, Overview, ProcessNumbers, Stats, Torrent } from './admin.ts'
import type { Torrents } from './torrents.ts'

/** Seconds between two samples of the history, and their number: the last five minutes. */
export const SAMPLE_SECONDS = 2
const SAMPLES_MAX = 150

/**
 * Numbers of the largest torrents that are shown, and of those whose peers are sampled for their
 * clients.
 */
const TOP_SHOWN = 20
const TOP_SAMPLED = 100
const PEERS_SAMPLED = 1000

/** Minimum interval and share of the thread's time of the scan for the largest torrents. */
const TOP_MILLIS_MIN = 5000
const TOP_TIME_SHARE = 1 / 20

export type OverviewSources = {
  readonly engine: Pick<Engine, 'arenas' | 'stripeCount'>
  readonly torrents: Pick<Torrents, 'sample' | 'top'>
  readonly version: string
  readonly stats: () => Stats
  readonly database: () => Overview['database']
  readonly processes: () => readonly ProcessNumbers[]
  readonly nodes: () => readonly NodeNumbers[]
  /** The client's name by its peer id. */
  readonly clientOf: (peerId: string) => string
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number
}

type Largest = Pick<Overview, 'top' | 'clients'>
type Counts = Record<'http' | 'udp' | 'websocket', number>

/** Reads the overview of the dashboard. Expensive parts are refreshed only at intervals. */
export class OverviewReader {
  readonly #sources: OverviewSources
  readonly #history: { [Line in keyof Overview['history']]: number[] } = {
    http: [],
    udp: [],
    websocket: [],
    seeders: [],
    leechers: [],
  }
  #last: { readonly at: number; readonly counts: Counts } | undefined
  #largest: Promise<Largest> | undefined
  #largestUntil = 0

  constructor(sources: OverviewSources) {
    this.#sources = sources
  }

  /** Announces per second over all protocols, by the last sample. */
  get announceRate(): number {
    const { http, udp, websocket } = this.#history
    return [http, udp, websocket].reduce((sum, line) => sum + (line.at(-1) ?? 0), 0)
  }

  async read(): Promise<Overview> {
    const { top, clients } = await this.#readLargest()
    const { database, engine, nodes, processes, stats, version } = this.#sources
    const { bytesReserved, bytesTaken } = totals(engine)
    return {
      version,
      stats: stats(),
      memory: { taken: bytesTaken, reserved: bytesReserved },
      database: database(),
      processes: processes(),
      nodes: nodes(),
      history: this.#history,
      top,
      clients,
    }
  }

  /** Adds a sample to the history. Must be called every `SAMPLE_SECONDS`. */
  takeSample(): void {
    // The next report then covers the seconds from now on.
    this.#sources.processes()
    const stats = this.#sources.stats()
    const counts = announcesOf(stats)
    const at = this.#sources.now()
    const last = this.#last
    const seconds = last ? (at - last.at) / 1000 : 0
    const rate = (protocol: keyof Counts) =>
      last && seconds > 0
        ? Math.max(0, Math.round((counts[protocol] - last.counts[protocol]) / seconds))
        : 0
    const sample = {
      http: rate('http'),
      udp: rate('udp'),
      websocket: rate('websocket'),
      seeders: numberIn(stats, 'seeds'),
      leechers: numberIn(stats, 'peers'),
    }
    for (const line of Object.keys(sample) as (keyof typeof sample)[]) {
      this.#history[line].push(sample[line])
      if (this.#history[line].length > SAMPLES_MAX) this.#history[line].shift()
    }
    this.#last = { at, counts }
  }

  /**
   * Returns the last result. If it is old, a new scan starts; the call waits for it only if no
   * result exists yet.
   */
  async #readLargest(): Promise<Largest> {
    const { now } = this.#sources
    if (this.#largest && now() < this.#largestUntil) return this.#largest
    const begun = now()
    this.#largestUntil = Number.POSITIVE_INFINITY
    const next = this.#findLargest().finally(() => {
      this.#largestUntil = now() + Math.max(TOP_MILLIS_MIN, (now() - begun) / TOP_TIME_SHARE)
    })
    if (!this.#largest) {
      this.#largest = next
      next.catch(() => {
        this.#largest = undefined
      })
      return next
    }
    next.then(
      found => {
        this.#largest = Promise.resolve(found)
      },
      () => {},
    )
    return this.#largest
  }

  async #findLargest(): Promise<Largest> {
    const torrents = await this.#sources.torrents.top(TOP_SAMPLED)
    return { top: torrents.slice(0, TOP_SHOWN), clients: clientsOf(torrents, this.#sources) }
  }
}

/** Announces since the start. `/stats` calls those over HTTP `tcp`. */
function announcesOf(stats: Stats): Counts {
  const both = (prefix: string) =>
    numberIn(stats, `${prefix}4_announces_handled`) +
    numberIn(stats, `${prefix}6_announces_handled`)
  return { http: both('tcp'), udp: both('udp'), websocket: both('ws') }
}

function numberIn(stats: Stats, name: string): number {
  const value = stats[name]
  return typeof value === 'number' ? value : 0
}

/**
 * Peers of each torrent in proportion to its size, counted by their client, in descending order.
 */
function clientsOf(
  all: readonly Torrent[],
  { torrents, clientOf }: OverviewSources,
): Overview['clients'] {
  const sizeOf = ({ seeders, leechers }: Torrent) => seeders + leechers
  const peers = all.reduce((sum, torrent) => sum + sizeOf(torrent), 0)
  const counts = new Map<string, number>()
  for (const torrent of all) {
    const share = Math.ceil((sizeOf(torrent) * Math.min(PEERS_SAMPLED, peers)) / peers)
    for (const id of torrents.sample(torrent.hash, share)) {
      const client = clientOf(id)
      counts.set(client, (counts.get(client) ?? 0) + 1)
    }
  }
  return [...counts]
    .map(([client, count]) => ({ client, peers: count }))
    .sort((a, b) => b.peers - a.peers)
}
