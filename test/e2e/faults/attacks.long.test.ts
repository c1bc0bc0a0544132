import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { ATTACKS, type Attack, type AttackerData } from '../../../bench/load/attacker.ts'
import {
  ATTACKED_HASH,
  countAnswer,
  countHonest,
  enterHonest,
  openClient,
  timeHonest,
} from '../../../bench/load/honest-clients.ts'
import { startReloadable } from '../../fixtures/reloadable.ts'
import { residentMib } from '../../fixtures/resident-memory.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { type Tracker, temporaryFolder } from '../../fixtures/start-tracker.ts'
import { FAULTS } from './fixtures/faults.ts'

const SECONDS_PER_ATTACK = 3
const GROWTH_MIB_MAX = 60
/** Log lines at level warn or above. Each kind of fault may cause a few, regardless of its size. */
const WARNINGS_MAX = 60
const ATTACKER = new URL('../../../bench/load/attacker.js', import.meta.url)

function shuffled<Item>(items: readonly Item[], random: (bound: number) => number): Item[] {
  const rest = [...items]
  return items.flatMap(() => rest.splice(random(rest.length), 1))
}

/** Starts an attack. The returned function ends it, and resolves with the number of messages. */
function startAttack(t: Test, tracker: Tracker, attack: Attack): () => Promise<number> {
  const port = tracker.port(attack.startsWith('UDP') ? 'udp' : 'http', '127.0.0.1')
  const workerData: AttackerData = { attack, port, infoHash: ATTACKED_HASH }
  const attacker = new Worker(ATTACKER, { workerData })
  t.teardown(() => attacker.terminate())
  attacker.postMessage('attack')
  return async () => {
    attacker.postMessage('pause')
    const [sent] = (await once(attacker, 'message')) as [number]
    await attacker.terminate()
    return sent
  }
}

for (const http of ['uws', 'node'] as const) {
  t.test(`every attack of one address, each with a fault, on ${http}`, async t => {
    const random = seededRandom(testSeed(t))
    const database = join(temporaryFolder(t), 'muster.db')
    const reloadable = await startReloadable(t, {
      frontend: { http, workers: 2 },
      engine: { memory: '64 MiB' },
      limits: { profile: 'public' },
      database: { path: `sqlite://${database}`, persistent_interval: 1 },
    })
    const { tracker } = reloadable
    const udpPort = tracker.port('udp', '127.0.0.1')
    await enterHonest(udpPort)
    const client = await openClient(udpPort, '127.0.2.1')
    t.teardown(() => client.close())
    const entered = await countHonest(client)
    const before = residentMib(tracker.pid)
    const honest = { asked: 0, answered: 0 }
    const shown = { honest: 0, all: 0 }
    let messages = 0
    const attacks = shuffled(ATTACKS, random)
    const faults = shuffled(Object.entries(FAULTS), random)
    for (const [n, [name, cause]] of faults.entries()) {
      const attack = attacks[n % attacks.length] ?? ATTACKS[0]
      t.comment(`${attack}, and ${name}`)
      const endAttack = startAttack(t, tracker, attack)
      const httpPort = tracker.port('http', '127.0.0.1')
      const [timed] = await Promise.all([
        timeHonest(httpPort, client, SECONDS_PER_ATTACK),
        cause({ reloadable, database, random }),
      ])
      honest.asked += timed.asked
      honest.answered += timed.answered
      const [honestPeers, peers] = await countAnswer(client)
      shown.honest += honestPeers
      shown.all += peers
      messages += await endAttack()
    }
    const growth = residentMib(tracker.pid) - before
    const left = await countHonest(client)
    t.comment(
      `figures: ${messages} hostile messages, ${faults.length} faults, ${honest.answered} of ` +
        `${honest.asked} honest requests served, ${shown.honest} of ${shown.all} peers in answers ` +
        `honest, ${Math.round(growth * 2 ** 20)} bytes of growth, ` +
        `${tracker.warnings().length} warnings`,
    )
    t.equal(left, entered, 'no honest peer was lost')
    t.ok(honest.answered >= 0.95 * honest.asked, 'honest clients were served')
    t.ok(shown.honest >= 0.85 * shown.all, 'answers contain honest peers')
    t.ok(growth < GROWTH_MIB_MAX, `${growth.toFixed(1)} MiB more`)
    t.ok(tracker.warnings().length < WARNINGS_MAX, 'few log lines')
    t.notOk(
      tracker.log.some(({ level }) => level >= 60),
      'nothing fatal',
    )
    t.equal(await tracker.stop(), 0)
  })
}
