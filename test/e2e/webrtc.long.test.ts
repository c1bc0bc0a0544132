import { randomBytes } from 'node:crypto'
import t from 'tap'
import { skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import { tlsKeys, writePair } from '../fixtures/certificates.ts'
import { startTracker, type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { type WebtorrentPage, webtorrentPage } from './fixtures/webtorrent-page.ts'
import { clientPorts, workerOf } from './fixtures/worker-of-socket.ts'

/** Opens sockets until one belongs to another worker than `other`, and returns that worker. */
async function connectTo(
  tracker: Tracker,
  page: WebtorrentPage,
  other: number | undefined,
): Promise<number> {
  for (;;) {
    const before = new Set(clientPorts(tracker))
    await page.connect(`wss://127.0.0.1:${tracker.port('http', '127.0.0.1')}/announce`)
    const port = clientPorts(tracker).find(found => !before.has(found))
    const worker = port === undefined ? undefined : workerOf(tracker, port)
    if (worker !== undefined && worker !== other) return worker
    await page.disconnect()
  }
}

const skip = skipWithoutBrowser
t.test('two browsers on two workers exchange data over wss', { skip }, async t => {
  const folder = temporaryFolder(t)
  await writePair(folder)
  const tracker = await startTracker(t, {
    frontend: { workers: 2 },
    http_server: [{ bind_address: '127.0.0.1:0', ...tlsKeys(folder) }],
  })
  const browser = await startBrowser(t, [
    '--ignore-certificate-errors',
    '--allow-loopback-in-peer-connection',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
  ])
  const openPage = async () => webtorrentPage(await (await browser.newContext()).newPage())
  const seeder = await openPage()
  const leecher = await openPage()
  const first = await connectTo(tracker, seeder, undefined)
  const second = await connectTo(tracker, leecher, first)
  t.not(first, second, 'each is connected to a worker of its own')

  const infoHash = hashOf(1).toString('latin1')
  const idOf = (n: number) => clientOf(n).peerId.toString('latin1')
  t.match(await seeder.announce(infoHash, idOf(1), false), { complete: 1, incomplete: 0 })
  t.match(await leecher.announce(infoHash, idOf(2), true), { complete: 1, incomplete: 1 })
  const bytes = [...randomBytes(10_000)]
  t.same(await leecher.exchange(bytes), [...bytes].reverse(), 'over the data channel')

  process.kill(first, 'SIGKILL')
  await seeder.closed()
  await tracker.line(({ msg, pid }) => msg === 'worker died' && pid === first)
  t.same(await leecher.exchange(bytes), [...bytes].reverse(), 'the peers need no tracker now')
  await seeder.connect(`wss://127.0.0.1:${tracker.port('http', '127.0.0.1')}/announce`)
  // The engine learns of the worker's death asynchronously. Until then the old socket's peer
  // remains.
  let counts = await seeder.announce(infoHash, idOf(1), false)
  while (counts.complete !== 1) counts = await seeder.announce(infoHash, idOf(1), false)
  t.match(counts, { complete: 1, incomplete: 1 })
  t.equal(await tracker.stop(), 0)
})
