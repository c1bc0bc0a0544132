import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { scrapeCounts } from '../fixtures/http-client.ts'
import { makeTorrent } from '../fixtures/make-torrent.ts'
import {
  aria2,
  downloaded,
  hasProgram,
  type RealClient,
  transmission,
} from '../fixtures/real-clients.ts'
import { startTracker } from '../fixtures/start-tracker.ts'

const PAYLOAD_BYTES = 20 * 2 ** 20
const TRANSFER_MILLIS_MAX = 60_000
/** Short intervals: a client that came first must not wait half an hour for the second. */
const QUICK = {
  request_interval: 2,
  request_interval_minimum: 1,
  request_interval_jitter: 0,
  peers_timeout: 60,
}

const missing = [aria2, transmission]
  .filter(({ program }) => !hasProgram(program))
  .map(({ program }) => program)
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false

function transfers(
  seeder: RealClient,
  leecher: RealClient,
  workers: number,
  protocol: 'http' | 'udp',
): void {
  t.test(
    `${leecher.program} downloads from ${seeder.program} over ${protocol}, with ${workers} workers`,
    { skip },
    async t => {
      const tracker = await startTracker(t, { tracker_config: QUICK, frontend: { workers } })
      const folder = mkdtempSync(join(tmpdir(), 'muster-test-'))
      t.teardown(() => rmSync(folder, { recursive: true, force: true }))
      const torrent = makeTorrent(
        folder,
        `${protocol === 'http' ? tracker.url() : tracker.udpUrl()}/announce`,
        PAYLOAD_BYTES,
      )
      const [here, there] = [join(folder, 'seeder'), join(folder, 'leecher')]
      mkdirSync(here)
      mkdirSync(there)
      cpSync(torrent.file, join(here, torrent.name))
      const seeding = await seeder.start(t, torrent.torrentFile, here)
      while (Number((await scrapeCounts(tracker.url(), torrent.infoHash))['complete'] ?? 0) < 1) {
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      const leeching = await leecher.start(t, torrent.torrentFile, there)
      await downloaded(join(there, torrent.name), torrent.sha1, TRANSFER_MILLIS_MAX).catch(
        error => {
          t.comment(seeding.output())
          t.comment(leeching.output())
          throw error
        },
      )
      while (Number((await scrapeCounts(tracker.url(), torrent.infoHash))['complete']) < 2) {
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      t.match(await scrapeCounts(tracker.url(), torrent.infoHash), {
        complete: 2,
        incomplete: 0,
        downloaded: 1,
      })
    },
  )
}

transfers(transmission, aria2, 0, 'http')
transfers(transmission, aria2, 2, 'http')
transfers(aria2, transmission, 1, 'http')
