import t from 'tap'
import { allRounds } from '../../../fixtures/rounds.ts'
import { hexOf, startApi } from '../fixtures/api-client.ts'
import { createMemoryAdmin } from '../fixtures/memory-admin.ts'
import { idsOf, peer, type TorrentJson } from '../fixtures/torrent-peers.ts'

const A = hexOf(1)

allRounds()
await import('./torrents.test.ts')

t.test('a torrent of 200,000 peers is read no faster than the client reads', async t => {
  const admin = createMemoryAdmin()
  for (let n = 0; n < 200_000; n++) admin.addPeer(A, peer(n, n < 50_000 ? 0 : 5))
  const { server, open } = await startApi(t, {}, admin)
  const incoming = await open({ method: 'GET', path: `/api/torrent/${A}` })
  t.equal(incoming.headers['transfer-encoding'], 'chunked')
  // The client does not read yet. The server writes until the sockets' buffers are full.
  let before = -1
  while (before !== admin.pagesRead) {
    before = admin.pagesRead
    for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  }
  t.ok(before < 150, `${before} of 200 pages were read ahead`)
  t.equal(server.inFlight, 1)
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  const torrent = JSON.parse(Buffer.concat(chunks).toString()) as TorrentJson
  t.equal(admin.pagesRead, 200)
  t.same([torrent.seeds.length, idsOf(torrent.seeds)], [50_000, 50_000])
  t.same([torrent.peers.length, idsOf(torrent.peers)], [150_000, 150_000])
  t.ok(torrent.seeds.every(({ left }) => left === 0) && torrent.peers.every(({ left }) => left > 0))
  t.equal(server.inFlight, 0)
})
