import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { announce, KEY, startWithApi } from '../../fixtures/admin-client.ts'
import { getBencoded, scrapeCounts } from '../../fixtures/http-client.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'
import { hashOf } from '../../fixtures/tracker-client.ts'
import { openUdpClient } from '../fixtures/udp-client.ts'

const CLOCK = fileURLToPath(new URL('./fixtures/jumping-clock.js', import.meta.url))

t.test(
  'a change of the system clock expires no peer or connection id, and deletes no key',
  async t => {
    const folder = temporaryFolder(t)
    const { tracker, admin } = await startWithApi(
      t,
      {
        frontend: { workers: 1 },
        tracker_config: { peers_cleanup_interval: 1, keys_cleanup_interval: 1 },
      },
      undefined,
      {
        environment: {
          JUMPING_CLOCK: folder,
          NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${CLOCK}`,
        },
      },
    )
    const udp = await openUdpClient(t, '127.0.0.1', tracker.port('udp', '127.0.0.1'))
    await udp.connectionId()
    await admin.call('POST', `/api/key/${KEY}/3600`)
    await getBencoded(tracker.url(), announce('/announce', 1))

    async function nothingEnded(when: string, keyStatus: number): Promise<void> {
      // Two sweeps remove every peer that seems expired.
      await new Promise(resolve => setTimeout(resolve, 2500))
      t.match(await scrapeCounts(tracker.url(), hashOf(1)), { incomplete: 1 }, `${when}: the peer`)
      t.match(await admin.call('GET', `/api/key/${KEY}`), { status: keyStatus }, `${when}: the key`)
      t.match(await udp.announce(), { interval: Number }, `${when}: the connection id`)
      t.equal(udp.repeats, 0)
    }
    const started = tracker.log.at(-1)?.time ?? 0
    writeFileSync(join(folder, 'ahead'), '')
    await nothingEnded('ten days ahead', 404)
    renameSync(join(folder, 'ahead'), join(folder, 'behind'))
    await nothingEnded('ten days behind', 200)
    t.equal(await tracker.stop(), 0)
    const stopped = tracker.log.find(({ msg }) => msg === 'stopped')
    t.ok((stopped?.time ?? 0) < started - 9 * 86_400_000, 'its log shows that the clock was set')
  },
)
