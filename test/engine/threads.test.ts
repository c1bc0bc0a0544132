import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createTables, openEngine } from '../../src/engine/engine.ts'
import { totals } from '../../src/engine/totals.ts'
import { threadUrl } from '../../src/thread-url.ts'
import type { AnnouncingThread } from '../fixtures/announcing-thread.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import { clientOf, hashOf, SETTINGS } from '../fixtures/tracker-client.ts'

type Told = { present: Map<string, 'seeder' | 'leecher'>; completed: number }

for (const [threads, torrents, announces] of [
  [2, 3, 60_000],
  [4, 50, 30_000],
  [8, 2000, 15_000],
] as const) {
  t.test(
    `${threads} threads on the same ${torrents} torrents lose no peer and double none`,
    async t => {
      const seed = Date.now() >>> 0
      t.comment(`seed ${seed}`)
      const tables = createTables(128 * 2 ** 20)
      const gate = new Int32Array(new SharedArrayBuffer(4))
      const workers = Array.from({ length: threads }, (_, index) => {
        const work: AnnouncingThread = {
          tables,
          gate,
          index,
          threads,
          torrents,
          clients: 1500,
          announces,
          seed,
        }
        return new Worker(threadUrl('../fixtures/announcing-thread', import.meta.url), {
          workerData: work,
        })
      })
      const told = await Promise.all(
        workers.map(async worker => (await once(worker, 'message'))[0] as Told),
      )
      const engine = openEngine(tables, SETTINGS)
      const found = checkTables(engine)
      let peers = 0
      for (const { present } of told) {
        for (const [name, role] of present) {
          const [torrent, number] = name.split(' ').map(Number) as [number, number]
          const client = clientOf(number, number % 3 ? 4 : 6)
          const there = found
            .get(hashOf(torrent).toString('hex'))
            ?.peers.get(`${client.peerId.toString('hex')} ${client.address.toString('hex')}`)
          if (there?.seeder !== (role === 'seeder'))
            t.fail(`client ${number} of torrent ${torrent} is lost`)
          peers++
        }
      }
      const sum = totals(engine)
      t.equal(sum.peers[0] + sum.peers[1], peers, 'every peer is there once')
      t.equal(
        sum.completed,
        told.reduce((all, { completed }) => all + completed, 0),
        'downloads',
      )
      t.equal(sum.refused + sum.evicted + sum.expired, 0)
    },
  )
}
