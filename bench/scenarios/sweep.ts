import { openEngine } from '../../src/engine/engine.ts'
import { totals } from '../../src/engine/totals.ts'
import { SETTINGS } from '../micro/clients.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { BESIDE_RATE, besideLink } from './beside.ts'
import { filledTables } from './engine-host.ts'

/**
 * Clients announced at so many ages, so many seconds apart, the oldest nearly expired: each round
 * another part of them expires.
 */
const AGES = 20
const AGE_SECONDS = 100

export const sweep: Scenario = {
  name: 'sweep',
  about: 'p99 of announces with and without a sweep of 5M peers by the engine thread',
  secondsMax: 240,
  async run(plan) {
    const peers = bySize(plan, 5_000_000, 1_000_000, 10_000)
    const torrents = peers / 5
    // A pass in a quarter of a minute is sixty times faster than by default.
    const sweepSeconds = bySize(plan, 15, 5, 1)
    const tables = filledTables(torrents, peers, client => (client % AGES) * AGE_SECONDS)
    const engine = openEngine(tables, SETTINGS)
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      // So many seconds after NOW that the oldest of those still there expire.
      const later = SETTINGS.peersTimeout - (AGES - 1 - round) * AGE_SECONDS + 1
      const before = totals(engine).expired
      const millis = plan.seconds * 1000
      const run = await besideLink(
        { tables, torrents, peers, seed: round + 1, aloneMillis: millis, sweepSeconds, later },
        () => new Promise(resolve => setTimeout(resolve, millis)),
      )
      rows.add('announces over the link, beside a sweep', {
        ...run,
        expired: totals(engine).expired - before,
      })
    }
    return {
      title: `Announces beside a sweep of ${peers} peers`,
      options: { peers, torrents, sweepSeconds, rate: BESIDE_RATE, seconds: plan.seconds },
      rows: rows.rows,
      notes: [
        `${BESIDE_RATE} announces per second over a Unix socket to the engine thread, which sweeps all peers in ${sweepSeconds} s (default: 900 s). One peer in twenty expires in each round.`,
      ],
    }
  },
}
