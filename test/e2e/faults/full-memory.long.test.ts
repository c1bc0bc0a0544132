import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeSnapshot } from '../../../src/snapshot/write.ts'
import { startWithApi, TOKEN } from '../../fixtures/admin-client.ts'
import { getBencoded } from '../../fixtures/http-client.ts'
import { announceTarget } from '../../fixtures/load.ts'
import { residentMib } from '../../fixtures/resident-memory.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'
import { hashOf } from '../../fixtures/tracker-client.ts'
import { fillTorrent, newTables } from '../../snapshot/fixtures/swarms.ts'
import { threadsSettled } from '../fixtures/settled-threads.ts'
import { openUdpClient } from '../fixtures/udp-client.ts'

const PEERS = 1_200_000
const PEERS_PER_TORRENT = 60
const MEMORY_MIB = 64
const CLIENTS = 3000

t.test(
  'full memory evicts the longest silent peers, counts them, and refuses few announces',
  async t => {
    const folder = temporaryFolder(t)
    mkdirSync(join(folder, 'data'))
    const now = Math.floor(Date.now() / 1000)
    const { tables, engine } = newTables(256 * 2 ** 20)
    for (let n = 0; n < PEERS / PEERS_PER_TORRENT; n++) {
      fillTorrent(engine, n, PEERS_PER_TORRENT, n * PEERS_PER_TORRENT, now - 600)
    }
    await writeSnapshot({ tables, file: join(folder, 'data/swarm.snapshot'), nowSeconds: now })

    const { tracker } = await startWithApi(
      t,
      { engine: { memory: `${MEMORY_MIB} MiB` }, frontend: { workers: 1 } },
      folder,
    )
    const back = await tracker.line(({ msg }) => msg === 'swarms restored')
    t.ok(Number(back['refused']) > 0, `${back['refused']} of ${PEERS} peers had no room`)
    const udp = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
    let refused = 0
    const serve = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        const target = announceTarget(2_000_000 + n, n % 2 ? n : 2_000_000 + n)
        const answer = await getBencoded(tracker.url(), target)
        if ('failure reason' in answer) refused++
        const peerId = Buffer.from(`-XX0001-${1e11 + n}`)
        await udp.announce({ infoHash: hashOf(n), peerId }).catch((error: Error) => {
          t.match(error.message, /^tracker is full/)
          refused++
        })
      }
    }
    // The first half allocates the memory for serving. The second half must not need more.
    await serve(0, CLIENTS / 2)
    await threadsSettled(tracker.pid)
    const before = residentMib(tracker.pid)
    await serve(CLIENTS / 2, CLIENTS)
    // Two evictions do not always free a contiguous block for a new torrent.
    t.ok(refused < CLIENTS / 50, `${refused} of ${2 * CLIENTS} announces were refused`)
    const grown = residentMib(tracker.pid) - before
    t.ok(grown < 40, `${grown.toFixed(1)} MiB more for the second half`)
    const metrics = await (
      await fetch(
        `http://127.0.0.1:${tracker.port('api')}/metrics?token=${encodeURIComponent(TOKEN)}`,
      )
    ).text()
    const [, taken] = /muster_arena_bytes\{state="taken"\} (\d+)/.exec(metrics) ?? []
    t.ok(Number(taken) <= MEMORY_MIB * 2 ** 20, `in the memory that there is: ${taken} bytes`)
    const [, evicted] = /muster_peers_removed_total\{reason="evicted"\} (\d+)/.exec(metrics) ?? []
    t.ok(Number(evicted) > 0, `${evicted} peers made room`)
    t.equal(await tracker.stop(), 0)
  },
)
