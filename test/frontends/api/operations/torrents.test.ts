import t from 'tap'
import { rounds } from '../../../fixtures/rounds.ts'
import { hexOf, startApi } from '../fixtures/api-client.ts'
import { createMemoryAdmin } from '../fixtures/memory-admin.ts'
import { peer, type TorrentJson } from '../fixtures/torrent-peers.ts'

const A = hexOf(1)

t.test('a client that disconnects stops the reading of pages', async t => {
  const admin = createMemoryAdmin()
  for (let n = 0; n < 200_000; n++) admin.addPeer(A, peer(n, 0))
  const { server, open } = await startApi(t, {}, admin)
  const incoming = await open({ method: 'GET', path: `/api/torrent/${A}` })
  incoming.destroy()
  while (server.inFlight > 0) await new Promise(resolve => setImmediate(resolve))
  t.ok(admin.pagesRead < 200, `${admin.pagesRead} of 200 pages were read`)
})

t.test('separates seeders and leechers at any page boundary', async t => {
  for (const [seeders, leechers] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1000, 0],
    [0, 1000],
    [1000, 1000],
    [999, 1002],
    [2500, 1],
  ] as const) {
    const admin = createMemoryAdmin()
    await admin.setTorrents([[A, 7]])
    for (let n = 0; n < seeders; n++) admin.addPeer(A, peer(n, 0))
    for (let n = 0; n < leechers; n++) admin.addPeer(A, peer(seeders + n, 1))
    const { ask, server } = await startApi(t, {}, admin)
    const one = (await ask({ method: 'GET', path: `/api/torrent/${A}` })).json as TorrentJson
    const many = await ask({ method: 'GET', path: '/api/torrents', body: [A] })
    const { [A]: same } = (many.json as { torrents: Record<string, TorrentJson> }).torrents
    for (const torrent of [one, same]) {
      t.same(
        [torrent?.seeds.length, torrent?.peers.length, torrent?.completed],
        [seeders, leechers, 7],
        `${seeders} and ${leechers}`,
      )
    }
    server.close()
  }
})

t.test('streams the known ones of many torrents', async t => {
  const known = rounds(10_000, 60_000)
  const admin = createMemoryAdmin()
  const hashes = Array.from({ length: known * 2 }, (_, n) => hexOf(n))
  await admin.setTorrents(hashes.slice(0, known).map(hash => [hash, 1] as const))
  for (let n = 0; n < 3_000; n++) admin.addPeer(hexOf(n % 1500), peer(n, n % 2))
  for (let n = 0; n < 2_500; n++) admin.addPeer(hexOf(2000), peer(n, 0))
  const { ask } = await startApi(t, {}, admin)
  const answer = await ask({ method: 'GET', path: '/api/torrents', body: hashes })
  const { torrents } = answer.json as { torrents: Record<string, TorrentJson> }
  t.equal(Object.keys(torrents).length, known)
  const all = Object.values(torrents)
  t.equal(
    all.reduce((sum, { seeds, peers }) => sum + seeds.length + peers.length, 0),
    5_500,
  )
  t.equal(torrents[hexOf(2000)]?.seeds.length, 2_500)
})

t.test('closes the connection of an answer that cannot be completed', async t => {
  const admin = createMemoryAdmin()
  for (let n = 0; n < 5_000; n++) admin.addPeer(A, peer(n, 0))
  const failure = new Error('the engine is gone')
  const read = admin.torrentPeers
  admin.torrentPeers = (hash, cursor, count) =>
    cursor >= 2000 ? Promise.reject(failure) : read(hash, cursor, count)
  const { ask, server, errors } = await startApi(t, {}, admin)
  await t.rejects(ask({ method: 'GET', path: `/api/torrent/${A}` }), { code: 'ECONNRESET' })
  t.same(errors, [[failure, 'getTorrent']])
  t.equal(server.inFlight, 0)
  t.equal((await ask({ method: 'GET', path: '/health' })).status, 200)
})

t.test('setting a torrent without a completed count does not change it', async t => {
  const { ask, admin } = await startApi(t)
  await ask({ method: 'POST', path: `/api/torrent/${A}/150` })
  await ask({ method: 'POST', path: `/api/torrent/${A}` })
  t.match(await admin.torrents([A]), [{ completed: 150 }])
  await ask({ method: 'POST', path: '/api/torrents', body: { [A.toUpperCase()]: 3 } })
  t.match(await admin.torrents([A]), [{ completed: 3 }])
})
