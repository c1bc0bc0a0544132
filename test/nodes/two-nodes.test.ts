import t from 'tap'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { announce, joined, scrape, startNode, until } from './fixtures/node.ts'
import { UdpClient } from './fixtures/udp-client.ts'

t.test('two nodes have one swarm, over HTTP and UDP', { skip: withoutNats }, async t => {
  const servers = (await startNatsServers(t, 1)).map(({ url }) => url)
  const [a, b] = await Promise.all([
    startNode(t, { name: 'a', servers }),
    startNode(t, { name: 'b', servers }),
  ])
  await Promise.all([joined(a, 1), joined(b, 1)])
  const infoHash = Buffer.alloc(20, 1)

  await announce(a, { infoHash, peerId: '-MU0100-000000000001', port: 1001 })
  await announce(a, { infoHash, peerId: '-MU0100-000000000002', port: 1002, left: 5 })
  await announce(b, { infoHash, peerId: '-MU0100-000000000003', port: 1003, left: 5 })
  await until(async () => (await scrape(b, infoHash)).leechers === 2, 'b knows the peers of a')
  await until(async () => (await scrape(a, infoHash)).leechers === 2, 'a knows the peers of b')
  const found = await announce(b, { infoHash, peerId: '-MU0100-000000000003', port: 1003, left: 5 })
  t.strictSame(found.ports.sort(), [1001, 1002], 'b hands out the peers that announced to a')
  t.match(await scrape(b, infoHash), { seeders: 1, leechers: 2 })

  await announce(a, {
    infoHash,
    peerId: '-MU0100-000000000002',
    port: 1002,
    left: 0,
    event: 'completed',
  })
  await until(async () => (await scrape(b, infoHash)).completed === 1, 'the download counts')
  await announce(a, { infoHash, peerId: '-MU0100-000000000001', port: 1001, event: 'stopped' })
  await until(async () => (await scrape(b, infoHash)).seeders === 1, 'who stopped is gone')

  const client = new UdpClient()
  t.teardown(() => client.close())
  const other = Buffer.alloc(20, 2)
  const connection = await client.connect(a.port('udp'))
  const first = { infoHash: other, peerId: Buffer.from('-MU0100-000000000011'), port: 1011 }
  await client.announce(a.port('udp'), connection, first)
  const second = {
    infoHash: other,
    peerId: Buffer.from('-MU0100-000000000012'),
    port: 1012,
    left: 1,
  }
  await until(async () => {
    const ports = await client.announce(b.port('udp'), connection, second)
    return ports.includes(1011)
  }, 'b accepts the connection id of a, and hands out its peer')
  await until(async () => (await scrape(a, other)).leechers === 1, 'a knows the peer of b')
  t.equal(await a.stop(), 0)
  t.equal(await b.stop(), 0)
})
