import { once } from 'node:events'
import { Client } from 'bittorrent-tracker'
import t, { type Test } from 'tap'
import { startTracker } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'

type Update = { complete: number; incomplete: number; announce: string }

function clientOf(n: number, announce: string, infoHash: Buffer): Client {
  const peerId = Buffer.from('-MU0100-000000000000')
  peerId.writeUInt32BE(n, 16)
  return new Client({ infoHash, peerId, announce: [announce], port: 7000 + n, wrtc: false })
}

/** The whole life of a seeder and a leecher, at `url`. Peers have this `host`. */
async function shareTorrent(t: Test, url: string, host: string, infoHash: Buffer): Promise<void> {
  const seeder = clientOf(1, url, infoHash)
  const leecher = clientOf(2, url, infoHash)
  for (const client of [seeder, leecher]) {
    t.teardown(() => client.destroy())
    client.on('error', error => t.fail(error.message))
    client.on('warning', error => t.fail(error.message))
  }
  const update = async (client: Client) => (await once(client, 'update'))[0] as Update

  seeder.start({ left: 0 })
  t.match(await update(seeder), { complete: 1, incomplete: 0 })
  const peer = once(leecher, 'peer')
  leecher.start({ left: 1000 })
  t.match(await update(leecher), { complete: 1, incomplete: 1 })
  t.same(await peer, [`${host}:7001`])
  leecher.update({ left: 500, downloaded: 500 })
  t.match(await update(leecher), { complete: 1, incomplete: 1 })
  leecher.complete({ left: 0, downloaded: 1000 })
  t.match(await update(leecher), { complete: 2, incomplete: 0 })
  leecher.scrape()
  t.match((await once(leecher, 'scrape'))[0], { complete: 2, incomplete: 0, downloaded: 1 })
  leecher.stop({ left: 0 })
  t.match(await update(leecher), { complete: 1, incomplete: 0 })
  seeder.stop({ left: 0 })
  t.match(await update(seeder), { complete: 0, incomplete: 0 })
}

const [IPV4, IPV6] = ['127.0.0.1', '[::1]']

for (const { workers, udp } of [
  { workers: 0, udp: { receive_method: 'dgram' } },
  { workers: 2, udp: { receive_method: 'recvmmsg', udp_threads: 2 } },
]) {
  t.test(
    `the npm client announces, updates, completes, stops and scrapes, with ${workers} workers`,
    async t => {
      const tracker = await startTracker(t, {
        frontend: { workers },
        udp_server: [{ bind_address: `${IPV4}:0`, ...udp }],
      })
      await shareTorrent(t, `${tracker.url(4)}/announce`, IPV4, hashOf(1))
      await shareTorrent(t, `${tracker.url(6)}/announce`, IPV6, hashOf(2))
      // The npm client supports UDP only over IPv4.
      await shareTorrent(t, tracker.udpUrl(4), IPV4, hashOf(3))
      t.equal(await tracker.stop(), 0)
    },
  )
}
