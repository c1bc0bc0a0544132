import { once } from 'node:events'
import { Client } from 'bittorrent-tracker'
import t from 'tap'
import { LOOPBACK, startTracker } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'

type Update = { complete: number; incomplete: number; announce: string }

function clientOf(n: number, announce: string, infoHash: Buffer): Client {
  const peerId = Buffer.from('-MU0100-000000000000')
  peerId.writeUInt32BE(n, 16)
  return new Client({ infoHash, peerId, announce: [announce], port: 7000 + n, wrtc: false })
}

/** Protocols of the tracker. The npm client supports UDP only over IPv4. */
const WAYS = [
  { protocol: 'HTTP', workers: 0, families: [4, 6], udp: {} },
  { protocol: 'HTTP', workers: 2, families: [4, 6], udp: {} },
  {
    protocol: 'UDP',
    workers: 1,
    families: [4],
    udp: { receive_method: 'recvmmsg', udp_threads: 2 },
  },
  { protocol: 'UDP', workers: 0, families: [4], udp: { receive_method: 'dgram' } },
] as const

for (const { protocol, workers, families, udp } of WAYS) {
  t.test(
    `the npm client announces, updates, completes, stops and scrapes over ${protocol}, ${workers} workers`,
    async t => {
      const tracker = await startTracker(t, {
        frontend: { workers },
        udp_server: LOOPBACK.udp_server.map(server => ({ ...server, ...udp })),
      })
      for (const family of families) {
        const url = protocol === 'HTTP' ? `${tracker.url(family)}/announce` : tracker.udpUrl(family)
        const infoHash = hashOf(workers * 10 + family)
        const seeder = clientOf(1, url, infoHash)
        const leecher = clientOf(2, url, infoHash)
        t.teardown(() => seeder.destroy())
        t.teardown(() => leecher.destroy())
        for (const client of [seeder, leecher]) {
          client.on('error', error => t.fail(error.message))
          client.on('warning', error => t.fail(error.message))
        }
        const told = async (client: Client) => (await once(client, 'update'))[0] as Update

        seeder.start({ left: 0 })
        t.match(await told(seeder), { complete: 1, incomplete: 0 })
        const peer = once(leecher, 'peer')
        leecher.start({ left: 1000 })
        t.match(await told(leecher), { complete: 1, incomplete: 1 })
        t.same(await peer, [family === 4 ? '127.0.0.1:7001' : '[::1]:7001'])
        leecher.update({ left: 500, downloaded: 500 })
        t.match(await told(leecher), { complete: 1, incomplete: 1 })
        leecher.complete({ left: 0, downloaded: 1000 })
        t.match(await told(leecher), { complete: 2, incomplete: 0 })
        leecher.scrape()
        t.match((await once(leecher, 'scrape'))[0], { complete: 2, incomplete: 0, downloaded: 1 })
        leecher.stop({ left: 0 })
        t.match(await told(leecher), { complete: 1, incomplete: 0 })
        seeder.stop({ left: 0 })
        t.match(await told(seeder), { complete: 0, incomplete: 0 })
      }
      t.equal(await tracker.stop(), 0)
    },
  )
}
