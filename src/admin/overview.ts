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
const TOP_TOLD = 20
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

export type OverviewReader = {
  read(): Promise<Overview>
  /** Announces per second over all protocols, by the last sample. */
  readonly announceRate: number
  /** Adds a sample to the history. Must be called every `SAMPLE_SECONDS`. */
  takeSample(): void
}

type Largest = Pick<Overview, 'top' | 'clients'>
type Counts = Record<'http' | 'udp' | 'websocket', number>

/** Reads the overview of the dashboard. Expensive parts are refreshed only at intervals. */
export function createOverview(sources: OverviewSources): OverviewReader {
  const { now } = sources
  const history = { http: [], udp: [], websocket: [], seeders: [], leechers: [] } as {
    [Line in keyof Overview['history']]: number[]
  }
  let last: { at: number; counts: Counts } | undefined
  let largest: Promise<Largest> | undefined
  let largestUntil = 0

  async function findLargest(): Promise<Largest> {
    const torrents = await sources.torrents.top(TOP_SAMPLED)
    return { top: torrents.slice(0, TOP_TOLD), clients: clientsOf(torrents, sources) }
  }

  /**
   * Returns the last result. If it is old, a new scan starts; the call waits for it only if no
   * result exists yet.
   */
  async function readLargest(): Promise<Largest> {
    if (largest && now() < largestUntil) return largest
    const begun = now()
    largestUntil = Number.POSITIVE_INFINITY
    const next = findLargest().finally(() => {
      largestUntil = now() + Math.max(TOP_MILLIS_MIN, (now() - begun) / TOP_TIME_SHARE)
    })
    if (!largest) {
      largest = next
      next.catch(() => {
        largest = undefined
      })
      return next
    }
    next.then(
      found => {
        largest = Promise.resolve(found)
      },
      () => {},
    )
    return largest
  }

  return {
    get announceRate() {
      const { http, udp, websocket } = history
      return [http, udp, websocket].reduce((sum, line) => sum + (line.at(-1) ?? 0), 0)
    },
    async read() {
      const { top, clients } = await readLargest()
      const { bytesReserved, bytesTaken } = totals(sources.engine)
      return {
        version: sources.version,
        stats: sources.stats(),
        memory: { taken: bytesTaken, reserved: bytesReserved },
        database: sources.database(),
        processes: sources.processes(),
        nodes: sources.nodes(),
        history,
        top,
        clients,
      }
    },
    takeSample() {
      // The next report then covers the seconds from now on.
      sources.processes()
      const stats = sources.stats()
      const counts = announcesOf(stats)
      const at = now()
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
        history[line].push(sample[line])
        if (history[line].length > SAMPLES_MAX) history[line].shift()
      }
      last = { at, counts }
    },
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
