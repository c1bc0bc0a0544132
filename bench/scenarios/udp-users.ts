import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startUdpGenerator, type UdpGenerator } from '../load/generators.ts'
import { type Mix, userKeyOf } from '../load/mix.ts'
import { benchFolder, muster, withFolder } from '../rivals/muster.ts'
import type { RunningRival } from '../rivals/rival.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { measureLoad, udpTask } from './udp.ts'

const WITHOUT = 'without users'
const WITH = 'with users'
/** Added to the name of a tracker with huge pages. */
const HUGE = ', huge pages'
const TRACKERS = [WITHOUT, WITH, WITHOUT + HUGE, WITH + HUGE]
/** The configuration does not allow fewer. */
const SESSIONS_MIN = 1000

type Started = {
  readonly name: string
  readonly tracker: RunningRival
  readonly generator: UdpGenerator
}

/** Creates the database of a tracker with so many users, and returns its path. */
async function storeUsers(folder: string, users: number): Promise<string> {
  // Imported late, because the other scenarios do not need the slow database libraries.
  const { loadConfig } = await import('../../src/config/load.ts')
  const { openDatabase } = await import('../../src/database/open.ts')
  const { database, database_structure: structure } = loadConfig({ environment: {} }).config
  mkdirSync(join(folder, 'data'))
  const path = `sqlite://${join(folder, 'data/muster.db')}`
  const opened = await openDatabase({ ...database, path }, structure)
  try {
    await opened.createTables()
    const none = { uploaded: 0n, downloaded: 0n, completed: 0, updated: 0, active: true }
    const rows = Array.from({ length: users }, (_, n) => {
      const id = `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
      return { ...none, id, key: userKeyOf(n) }
    })
    await opened.users.save(rows)
  } finally {
    await opened.close()
  }
  return path
}

/** Starts a tracker, with users or without, and enters all peers. */
async function start(name: string, mix: Mix, users: number): Promise<Started> {
  const folder = benchFolder()
  const path = await storeUsers(folder, users)
  const rival = muster({
    folder,
    udp: { threads: 1 },
    // At a stop, it would write the sessions of all peers.
    stopSignal: 'SIGKILL',
    config: {
      frontend: { workers: 0 },
      database: { path, persistent_interval: 86_400 },
      engine: { huge_pages: name.endsWith(HUGE) },
      tracker_config: { users_enabled: !name.startsWith(WITHOUT) },
      accounting: { sessions: Math.max(SESSIONS_MIN, mix.clients), peers_per_user: 0 },
    },
  })
  const running = await rival.start({ infoHashes: [], bodyBytes: 0 })
  const tracker = withFolder(running, folder)
  const generator = startUdpGenerator({ port: tracker.port, mix, users })
  await generator.fill()
  return { name, tracker, generator }
}

export const udpUsers: Scenario = {
  name: 'udp-users',
  about:
    'UDP announces with the key of a user in the path (BEP 41): with users on, and off, and with huge pages',
  secondsMax: 1200,
  async run(plan) {
    const users = bySize(plan, 100_000, 20_000, 20)
    const mix = { ...udpTask(plan).mix, scrapes: 0 }
    const started: Started[] = []
    const rows = createRows()
    try {
      for (const name of TRACKERS) started.push(await start(name, mix, users))
      for (const { generator } of started) await generator.run(plan.seconds / 2)
      for (let round = 0; round < plan.runs; round++) {
        for (const { name, tracker, generator } of started) {
          rows.add(name, await measureLoad(tracker, () => generator.run(plan.seconds)))
        }
      }
    } finally {
      for (const { generator, tracker } of started) {
        generator.stop()
        await tracker.stop()
      }
    }
    return {
      title: 'UDP announces of users',
      options: { users, mix },
      rows: rows.rows,
      base: { name: WITHOUT, metric: 'cpuMicros' },
      notes: [
        'All trackers receive the same packets, and the counts of each client grow. The clients of a user share an address. The sessions are not written to the database meanwhile.',
      ],
    }
  },
}
