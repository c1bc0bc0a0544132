import { randomBytes } from 'node:crypto'
import t from 'tap'
import { skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import { startBehindProxy, startHaproxy, startNginx } from '../fixtures/proxies.ts'
import { hasProgram } from '../fixtures/real-clients.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { webtorrentPage } from './fixtures/webtorrent-page.ts'

/** Proxies as documented: the program, its file, and the tracker's configuration. */
const PROXIES = [
  ['nginx', '', 'behind-a-proxy.toml'],
  ['haproxy', 'haproxy.cfg', 'behind-a-proxy.toml'],
  ['haproxy', 'haproxy-tcp.cfg', 'proxy-protocol.toml'],
] as const

for (const [program, file, trackerFile] of PROXIES) {
  const missing = hasProgram(program) ? false : `${program} is not installed`
  const name = `two browsers exchange data through ${program} ${file}`
  t.test(name, { skip: skipWithoutBrowser || missing }, async t => {
    const tracker = await startBehindProxy(t, trackerFile, { frontend: { workers: 2 } })
    const port = await (program === 'nginx'
      ? startNginx(t, tracker)
      : startHaproxy(t, file, tracker))
    const browser = await startBrowser(t, [
      '--allow-loopback-in-peer-connection',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
    ])
    const openPage = async () => webtorrentPage(await (await browser.newContext()).newPage())
    const [seeder, leecher] = [await openPage(), await openPage()]
    for (const page of [seeder, leecher]) await page.connect(`ws://127.0.0.1:${port}/announce`)
    const infoHash = hashOf(1).toString('latin1')
    const idOf = (n: number) => clientOf(n).peerId.toString('latin1')
    t.match(await seeder.announce(infoHash, idOf(1), false), { complete: 1, incomplete: 0 })
    t.match(await leecher.announce(infoHash, idOf(2), true), { complete: 1, incomplete: 1 })
    const bytes = [...randomBytes(10_000)]
    t.same(await leecher.exchange(bytes), [...bytes].reverse(), 'over the data channel')
  })
}
