import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'bittorrent-tracker'
import t, { type Test } from 'tap'
import { type AdminClient, announce, startWithApi, USER, UUID } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { makeTorrent } from '../fixtures/make-torrent.ts'
import {
  aria2,
  hasProgram,
  qbittorrent,
  type RealClient,
  rtorrent,
  transmission,
} from '../fixtures/real-clients.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'

const CLIENTS = [aria2, transmission, qbittorrent, rtorrent]

type Kind = {
  readonly name: string
  readonly rules: Record<string, object>
  readonly path: string
  readonly text: string
  /** Changes the tracker before the clients start. `infoHash` is in hex. */
  prepare?(t: Test, running: { tracker: Tracker; admin: AdminClient; infoHash: string }): unknown
}

/** Reasons to refuse an announce, and the text that a user has to see. */
const FAILURES: readonly Kind[] = [
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
  {
    name: 'a blacklisted torrent',
    rules: { tracker_config: { blacklist_enabled: true } },
    path: '/announce',
    text: 'unregistered torrent (blacklisted)',
    prepare: (_, { admin, infoHash }) => admin.call('POST', `/api/blacklist/${infoHash}`),
  },
  {
    name: 'a user who is not active',
    rules: { tracker_config: { users_enabled: true } },
    path: `/announce/${USER}`,
    text: 'user is not active',
    prepare: (_, { admin }) => admin.call('POST', `/api/user/${UUID}/${USER}/0/0/0/0/0`),
  },
  {
    name: 'a client that is not allowed',
    rules: { limits: { client_whitelist: ['-ZZ'] } },
    path: '/announce',
    text: 'your client is not among those allowed here (client_whitelist)',
  },
  {
    name: 'too many announces',
    rules: { limits: { announces_per_address: 1, announces_per_address_burst: 1 } },
    path: '/announce',
    text: 'too many announces from your address',
    prepare: exhaustRate,
  },
]

/** Uses up the announces that the address may send, until the test ends. */
async function exhaustRate(t: Test, { tracker }: { tracker: Tracker }) {
  const ask = () => getBencoded(tracker.url(), announce('/announce', 9)).catch(() => {})
  await ask()
  const timer = setInterval(ask, 200)
  t.teardown(() => clearInterval(timer))
}

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

for (const { name, path, prepare, rules, text } of FAILURES) {
  t.test(`clients show the failure for ${name}`, async t => {
    const config = { ...rules, udp_server: [], frontend: { workers: 0 } }
    const { admin, tracker } = await startWithApi(t, config)
    const { infoHash, torrentFile } = makeTorrent(
      temporaryFolder(t),
      `${tracker.url()}${path}`,
      2 ** 16,
    )
    await prepare?.(t, { admin, infoHash: infoHash.toString('hex'), tracker })
    // The clients run at the same time: most of the test is their start.
    t.jobs = CLIENTS.length + 1
    const shows = [
      t.test('the npm client of WebTorrent', { buffered: true }, async t => {
        const url = `${tracker.url().replace('http', 'ws')}${path}`
        const peerId = Buffer.alloc(20, 'x')
        const client = new Client({ infoHash, peerId, announce: [url], port: 6881, wrtc: {} })
        t.teardown(() => client.destroy())
        client.start({ left: 0, numwant: 0 })
        const [warning] = (await once(client, 'warning')) as [Error]
        t.match(warning.message, text)
      }),
      ...CLIENTS.map(client => {
        const skip = hasProgram(client.program) ? false : `${client.program} is not installed`
        return t.test(client.program, { buffered: true, skip }, async t => {
          await t.resolves(untilShown(t, client, torrentFile, text))
        })
      }),
    ]
    await Promise.all(shows)
  })
}
