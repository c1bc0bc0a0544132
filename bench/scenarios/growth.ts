import { median } from '../measure.ts'
import { bytesOfPeers, fillEngine, swarmsName } from '../micro/engine.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'

const PEERS_PER_TORRENT = 10
/** How the name of a row ends whose memory is on huge pages. */
export const ON_HUGE_PAGES = ', huge_pages'

export const growth: Scenario = {
  name: 'growth',
  about: 'cost of an announce with 10,000 to 10 million peers, ten peers per torrent',
  secondsMax: 240,
  async run(plan) {
    const sizes = bySize(
      plan,
      [10_000, 100_000, 1_000_000, 10_000_000],
      [10_000, 100_000, 1_000_000],
      [100, 1000],
    )
    const count = bySize(plan, 1_000_000, 500_000, 1000)
    const rows = createRows()
    const fill = (peers: number, hugePages = false) => {
      const torrents = peers / PEERS_PER_TORRENT
      const name = `${swarmsName(torrents, peers)}${hugePages ? ON_HUGE_PAGES : ''}`
      return { ...fillEngine(torrents, peers, hugePages), name }
    }
    const filled = [...sizes.map(peers => fill(peers)), fill(sizes.at(-1) ?? 0, true)]
    for (const { announce } of filled) announce(count / 4)
    // In turn, so that a slow moment of the machine is everybody's.
    for (let round = 0; round < plan.runs; round++) {
      for (const { announce, engine, name } of filled) {
        rows.add(name, { nanos: announce(count), ...bytesOfPeers(engine) })
      }
    }
    const [smallest] = rows.rows
    const base = { name: smallest?.name ?? '', metric: 'nanos' }
    const floor = median(smallest?.runs.map(run => run['nanos'] ?? Number.NaN) ?? [])
    return {
      title: 'Cost of an announce by number of peers',
      options: { announces: count, peersPerTorrent: PEERS_PER_TORRENT, numwant: 50 },
      rows: rows.rows,
      base,
      notes: [
        `Ten peers per torrent at every size. The smallest size takes ${floor.toFixed(0)} ns; the rest is cache misses.`,
      ],
    }
  },
}
