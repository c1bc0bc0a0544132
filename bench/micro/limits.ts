import { engineRules } from '../../src/app/rules.ts'
import { loadConfig } from '../../src/config/load.ts'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { SETTINGS } from './clients.ts'
import { fillEngine, swarmsName } from './engine.ts'

const PEERS_PER_TORRENT = 100

export const limits: Scenario = {
  name: 'limits',
  about: 'announces of known peers in the tables alone, with the default limits and without',
  secondsMax: 120,
  async run(plan) {
    const count = bySize(plan, 1_000_000, 500_000, 1000)
    const sizes = bySize(plan, [20_000, 100_000, 1_000_000], [20_000, 100_000], [1000])
    const standard = engineRules(loadConfig({ environment: {} }).config).settings.limits
    const filled = sizes.flatMap(peers =>
      [NO_LIMITS, standard].map(limits => {
        const torrents = peers / PEERS_PER_TORRENT
        const { announce } = fillEngine(torrents, peers, false, { ...SETTINGS, limits })
        const how = limits === NO_LIMITS ? 'without limits' : 'default limits'
        return { announce, name: `${swarmsName(torrents, peers)}, ${how}` }
      }),
    )
    for (const { announce } of filled) announce(count / 4)
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      for (const { announce, name } of filled) rows.add(name, { nanos: announce(count) })
    }
    return {
      title: 'The default limits',
      options: { announces: count, numwant: 50 },
      rows: rows.rows,
      notes: ['CPU time of one thread, including the creation of the request.'],
    }
  },
}
