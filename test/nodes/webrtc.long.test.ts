import { randomBytes } from 'node:crypto'
import t from 'tap'
import { webtorrentPage } from '../e2e/fixtures/webtorrent-page.ts'
import { skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, scrape, startNode, until } from './fixtures/node.ts'

const skip = withoutNats || skipWithoutBrowser

t.test('two browsers on two nodes exchange data', { skip }, async t => {
  const servers = (await startNatsServers(t, 1)).map(({ url }) => url)
  const [a, b] = await Promise.all([
    startNode(t, { name: 'a', servers, config: { frontend: { workers: 1 } } }),
    startNode(t, { name: 'b', servers }),
  ])
  await Promise.all([joined(a, 1), joined(b, 1)])
  const browser = await startBrowser(t, [
    '--allow-loopback-in-peer-connection',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
  ])
  const openPage = async (node: Tracker) => {
    const page = webtorrentPage(await (await browser.newContext()).newPage())
    const opened = await page
    await opened.connect(`${node.url().replace('http', 'ws')}/announce`)
    return opened
  }
  const [seeder, leecher] = [await openPage(a), await openPage(b)]
  const infoHash = hashOf(1)
  const idOf = (n: number) => clientOf(n).peerId.toString('latin1')
  await seeder.announce(infoHash.toString('latin1'), idOf(1), false)
  await until(async () => (await scrape(b, infoHash)).seeders === 1, 'b knows the peer of a')
  const counts = await leecher.announce(infoHash.toString('latin1'), idOf(2), true)
  t.match(counts, { complete: 1, incomplete: 1 })
  for (const size of [10, 10_000, 200_000]) {
    const bytes = [...randomBytes(size)]
    t.same(await leecher.exchange(bytes), [...bytes].reverse(), `${size} bytes`)
  }
  t.equal(await a.stop(), 0)
  t.equal(await b.stop(), 0)
})
