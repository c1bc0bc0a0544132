import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import bencode from 'bencode'
import t from 'tap'
import { makeTorrent } from '../fixtures/make-torrent.ts'
import { aria2, downloaded, hasProgram, transmission } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, scrape, startNode, until } from './fixtures/node.ts'

const missing = [aria2, transmission].map(({ program }) => program).filter(p => !hasProgram(p))
const skip = withoutNats || (missing.length > 0 && `not installed: ${missing.join(', ')}`)
/** Short intervals, so that the first client soon learns of the second. */
const QUICK = {
  request_interval: 2,
  request_interval_minimum: 1,
  request_interval_jitter: 0,
  peers_timeout: 60,
}
const TRANSFER_MILLIS_MAX = 120_000

t.test('aria2 on one node downloads from Transmission on another', { skip }, async t => {
  const servers = (await startNatsServers(t, 1)).map(({ url }) => url)
  const config = { tracker_config: QUICK }
  const [a, b] = await Promise.all([
    startNode(t, { name: 'a', servers, config }),
    startNode(t, { name: 'b', servers, config }),
  ])
  await Promise.all([joined(a, 1), joined(b, 1)])
  const folder = temporaryFolder(t)
  const torrent = makeTorrent(folder, `${a.url()}/announce`, 4 * 2 ** 20)
  const content = bencode.decode(readFileSync(torrent.torrentFile)) as Record<string, unknown>
  const elsewhere = join(folder, 'elsewhere.torrent')
  writeFileSync(elsewhere, bencode.encode({ ...content, announce: `${b.url()}/announce` }))
  const [here, there] = [join(folder, 'seeder'), join(folder, 'leecher')]
  mkdirSync(here)
  mkdirSync(there)
  cpSync(torrent.file, join(here, torrent.name))
  await transmission.start(t, torrent.torrentFile, here)
  const infoHash = Buffer.from(torrent.infoHash)
  await until(async () => (await scrape(b, infoHash)).seeders === 1, 'b knows the seeder of a')
  await aria2.start(t, elsewhere, there)
  await downloaded(join(there, torrent.name), torrent.sha1, TRANSFER_MILLIS_MAX)
  await until(async () => (await scrape(a, infoHash)).completed === 1, 'a counts the download')
})
