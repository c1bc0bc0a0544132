import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { freePort } from '../../bench/rivals/free-port.ts'
import { WebhookReceiver } from '../events/fixtures/receiver.ts'
import { startWithApi } from '../fixtures/admin-client.ts'
import { makeTorrent } from '../fixtures/make-torrent.ts'
import { downloaded, hasProgram, qbittorrent, transmission } from '../fixtures/real-clients.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'

const PAYLOAD_BYTES = 20 * 2 ** 20
const TRANSFER_MILLIS_MAX = 120_000
const QUICK = {
  request_interval: 2,
  request_interval_minimum: 1,
  request_interval_jitter: 0,
  // libtorrent announces every five minutes at most.
  peers_timeout: 900,
}
const SEEDER = { key: 'a1'.repeat(20), id: '00000000-0000-4000-8000-00000000000a' }
const LEECHER = { key: 'b2'.repeat(20), id: '00000000-0000-4000-8000-00000000000b' }

type Peer = { peer_id: { id: string; client: string }; uploaded: number; downloaded: number }
type Counts = { uploaded: number; downloaded: number }

const missing = [transmission, qbittorrent].filter(({ program }) => !hasProgram(program))

t.test(
  'a private tracker credits what two real clients report, and the webhook receives the same numbers',
  { skip: missing.length > 0 && `not installed: ${missing.map(({ program }) => program)}` },
  async t => {
    const receiver = new WebhookReceiver()
    await receiver.start(t)
    const port = await freePort()
    const { admin } = await startWithApi(t, {
      http_server: [{ bind_address: `127.0.0.1:${port}` }, { bind_address: `[::1]:${port}` }],
      tracker_config: { ...QUICK, users_enabled: true },
      frontend: { workers: 0 },
      database: { persistent_interval: 1 },
      events: { webhook_url: receiver.url, webhook_secret: 'a secret of the test' },
    })
    const users = [SEEDER, LEECHER].map(({ key, id }) => [id, key, 0, 0, 0, 1, 1])
    await admin.call('POST', '/api/users', users)
    const folder = temporaryFolder(t)
    const announce = `http://127.0.0.1:${port}/announce/${SEEDER.key}`
    const torrent = makeTorrent(folder, announce, PAYLOAD_BYTES)
    const other = join(folder, 'leecher.torrent')
    // The tracker's two addresses are two tiers, both of which qBittorrent announces to.
    const tiers = ['127.0.0.1', '[::1]'].map(host => {
      const url = `http://${host}:${port}/announce/${LEECHER.key}`
      return `l${url.length}:${url}e`
    })
    const text = readFileSync(torrent.torrentFile, 'latin1')
      .replace(SEEDER.key, LEECHER.key)
      .replace('4:infod', `13:announce-listl${tiers.join('')}e4:infod`)
    writeFileSync(other, text, 'latin1')
    const [here, there] = [join(folder, 'seeder'), join(folder, 'leecher')]
    mkdirSync(here)
    mkdirSync(there)
    cpSync(torrent.file, join(here, torrent.name))
    const hash = torrent.infoHash.toString('hex')

    const counts = async ({ key }: { key: string }): Promise<Counts> => {
      const { json } = await admin.call('GET', `/api/user/${key}`)
      return { uploaded: Number(json['uploaded']), downloaded: Number(json['downloaded']) }
    }
    const peers = async (): Promise<Peer[]> => {
      const { json } = await admin.call('GET', `/api/torrent/${hash}`)
      return [...((json['seeds'] as Peer[]) ?? []), ...((json['peers'] as Peer[]) ?? [])]
    }
    /** The highest counts that a client has reported, over either family. */
    const reported = async (client: string): Promise<Counts> => {
      const own = (await peers()).filter(({ peer_id }) => peer_id.client === client)
      return {
        uploaded: Math.max(0, ...own.map(({ uploaded }) => uploaded)),
        downloaded: Math.max(0, ...own.map(({ downloaded }) => downloaded)),
      }
    }

    await transmission.start(t, torrent.torrentFile, here)
    while ((await peers()).length === 0) await sleep(200)
    await qbittorrent.start(t, other, there)
    await downloaded(join(there, torrent.name), torrent.sha1, TRANSFER_MILLIS_MAX)
    const families = new Set<string>()
    const until = performance.now() + TRANSFER_MILLIS_MAX
    for (;;) {
      for (const { peer_id, ...peer } of await peers()) {
        const address = String((peer as unknown as { peer_addr: string }).peer_addr)
        if (peer_id.client === 'qBittorrent') families.add(address.startsWith('[') ? 'v6' : 'v4')
      }
      const [seeder, leecher] = [await counts(SEEDER), await counts(LEECHER)]
      const isComplete =
        seeder.uploaded >= PAYLOAD_BYTES && leecher.downloaded >= PAYLOAD_BYTES && families.size > 1
      if (isComplete || performance.now() > until) break
      await sleep(500)
    }
    t.same([...families].sort(), ['v4', 'v6'], 'qBittorrent announces over both families')
    t.same(await counts(SEEDER), await reported('Transmission'), 'the seeder, to the byte')
    t.same(await counts(LEECHER), await reported('qBittorrent'), 'the leecher, to the byte')
    t.ok((await counts(LEECHER)).downloaded >= PAYLOAD_BYTES)

    const credited = (id: string): Counts => {
      const own = receiver.events.filter(({ event, user }) => event === 'credited' && user === id)
      const sum = (field: string) => own.reduce((all, line) => all + Number(line[field]), 0)
      return { uploaded: sum('uploaded'), downloaded: sum('downloaded') }
    }
    const isTold = async () =>
      credited(LEECHER.id).downloaded >= (await counts(LEECHER)).downloaded &&
      credited(SEEDER.id).uploaded >= (await counts(SEEDER)).uploaded
    while (!(await isTold()) && performance.now() < until) await sleep(500)
    for (const user of [SEEDER, LEECHER]) t.same(credited(user.id), await counts(user))
    for (const [event, user] of [
      ['started', SEEDER.id],
      ['started', LEECHER.id],
      ['completed', LEECHER.id],
    ]) {
      t.ok(receiver.events.some(line => line['event'] === event && line['user'] === user))
    }
  },
)
