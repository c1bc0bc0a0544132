import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'bittorrent-tracker'
import t, { type Test } from 'tap'
import { makeTorrent } from '../fixtures/make-torrent.ts'
import {
  aria2,
  hasProgram,
  qbittorrent,
  type RealClient,
  rtorrent,
  transmission,
} from '../fixtures/real-clients.ts'
import { startTracker, temporaryFolder } from '../fixtures/start-tracker.ts'

const CLIENTS = [aria2, transmission, qbittorrent, rtorrent]

/** A reason to refuse an announce, and the text that a user has to see. */
const FAILURES: {
  name: string
  rules: Record<string, unknown>
  path: string
  text: string
}[] = [
  {
    name: 'a torrent that is not whitelisted',
    rules: { tracker_config: { whitelist_enabled: true } },
    path: '/announce',
    text: 'unregistered torrent',
  },
  {
    name: 'an unknown key',
    rules: { tracker_config: { keys_enabled: true } },
    path: `/announce/${'0'.repeat(40)}`,
    text: 'invalid or expired key',
  },
  {
    name: 'a missing key',
    rules: { tracker_config: { keys_enabled: true } },
    path: '/announce',
    text: 'missing key',
  },
]

/** Resolves once the client shows `text`, and rejects with what it shows after 60 seconds. */
async function untilShown(t: Test, client: RealClient, torrentFile: string, text: string) {
  const folder = join(temporaryFolder(t), client.program)
  mkdirSync(folder, { recursive: true })
  const running = await client.start(t, torrentFile, folder)
  let shown = ''
  for (const until = performance.now() + 60_000; performance.now() < until; ) {
    // The interface of a client that is still starting does not answer.
    shown = await running.trackerMessage().catch(String)
    if (shown.includes(text)) return
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  throw new Error(`${client.program} shows: ${shown.slice(-500)}`)
}

for (const { name, rules, path, text } of FAILURES) {
  t.test(`clients show the failure for ${name}`, async t => {
    const tracker = await startTracker(t, { ...rules, udp_server: [], frontend: { workers: 0 } })
    const torrent = makeTorrent(temporaryFolder(t), `${tracker.url()}${path}`, 2 ** 16)
    await t.test('the npm client of WebTorrent', async t => {
      const announce = [`${tracker.url().replace('http', 'ws')}${path}`]
      const { infoHash } = torrent
      const peerId = Buffer.alloc(20, 'x')
      const client = new Client({ infoHash, peerId, announce, port: 6881, wrtc: {} })
      t.teardown(() => client.destroy())
      client.start({ left: 0, numwant: 0 })
      const [warning] = (await once(client, 'warning')) as [Error]
      t.match(warning.message, text)
    })
    for (const client of CLIENTS) {
      const skip = hasProgram(client.program) ? false : `${client.program} is not installed`
      await t.test(client.program, { skip }, async t => {
        await t.resolves(untilShown(t, client, torrent.torrentFile, text))
      })
    }
  })
}
