import t from 'tap'
import { announce, hex, KEY, startWithApi, USER, UUID } from '../fixtures/admin-client.ts'
import { getBencoded, latin1, query } from '../fixtures/http-client.ts'
import { LOOPBACK } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

const OTHER = '3'.repeat(40)

t.test('changes through the API are in effect at once', async t => {
  const { tracker, admin } = await startWithApi(t, {
    udp_server: [],
    tracker_config: { whitelist_enabled: true, keys_enabled: true, users_enabled: true },
  })
  const path = `/${KEY}/${USER}/announce`
  const failure = async (target: string) =>
    latin1((await getBencoded(tracker.url(), target))['failure reason'] ?? '')
  t.equal(await failure(announce('/announce', 1)), 'missing key')
  t.equal(await failure(announce(path, 1)), 'invalid or expired key')
  t.match(await admin.call('POST', `/api/key/${KEY}/0`), { status: 200, json: { status: 'ok' } })
  t.equal(await failure(announce(path, 1)), 'invalid user key')
  const user = `/api/user/${UUID}/${USER}/100/0/0/0/1`
  t.match(await admin.call('POST', user), { status: 200 })
  t.equal(await failure(announce(path, 1)), 'unregistered torrent')
  t.match(await admin.call('POST', `/api/whitelist/${hex(1)}`), { status: 200 })
  t.equal(await failure(announce(path, 1, { uploaded: 0, event: 'started' })), '')
  t.equal(await failure(announce(path, 1, { uploaded: 42 })), '')
  t.match(await admin.call('GET', `/api/user/${USER}`), {
    status: 200,
    json: { uuid: UUID, uploaded: 142, active: 1, torrents_active: [{ [hex(1)]: Number }] },
  })
  t.match(await admin.call('GET', `/api/torrent/${hex(1)}`), {
    status: 200,
    json: { seeds: [], peers: [{ peer_addr: `127.0.0.1:${clientOf(1).port}`, uploaded: 42 }] },
  })

  // The peers of a removed user leave every swarm.
  await admin.call('POST', `/api/user/${UUID.replace(/^5/, '6')}/${OTHER}/0/0/0/0/1`)
  const { peerId, port } = clientOf(2)
  const fields = query({ info_hash: hashOf(1), peer_id: peerId, port, left: 5 })
  const asOther = () => getBencoded(tracker.url(), `/${KEY}/${OTHER}/announce${fields}`)
  t.match(await asOther(), { incomplete: 2 })
  t.match(await admin.call('DELETE', `/api/user/${USER}`), { status: 200 })
  const answer = await asOther()
  t.match(answer, { complete: 0, incomplete: 1 })
  t.equal((answer['peers'] as Uint8Array).length, 0)

  t.match(await admin.call('DELETE', `/api/whitelist/${hex(1)}`), { status: 200 })
  t.equal(latin1((await asOther())['failure reason']), 'unregistered torrent')
  t.match(await admin.call('DELETE', `/api/torrent/${hex(1)}`), { status: 200 })
  t.match(await admin.call('GET', `/api/torrent/${hex(1)}`), { status: 404 })
  t.match(await admin.call('DELETE', `/api/key/${KEY}`), { status: 200 })
  t.equal(latin1((await asOther())['failure reason']), 'invalid or expired key')
  t.equal(await tracker.stop(), 0)
})

t.test('an acknowledged change is in effect in every worker and UDP thread', async t => {
  const { tracker, admin } = await startWithApi(t, {
    frontend: { workers: 2 },
    tracker_config: { blacklist_enabled: true },
    udp_server: [{ ...LOOPBACK.udp_server[0], udp_threads: 2 }],
  })
  // The kernel distributes these connections and sockets over all workers and threads.
  const clients = await Promise.all(
    Array.from({ length: 16 }, () => openUdpClient(t, '127.0.0.1', tracker.port('udp'))),
  )
  const areRefused = async (isRefused: boolean) => {
    for (const [n, client] of clients.entries()) {
      const http = await getBencoded(tracker.url(), announce('/announce', 1))
      t.equal('failure reason' in http, isRefused, `HTTP ${n}`)
      const overUdp = await client.announce({ infoHash: hashOf(1) }).catch(String)
      t.match(overUdp, isRefused ? /unregistered torrent/ : { interval: Number }, `UDP ${n}`)
    }
  }
  await areRefused(false)
  await admin.call('POST', `/api/blacklist/${hex(1)}`)
  await areRefused(true)
  await admin.call('DELETE', `/api/blacklist/${hex(1)}`)
  await areRefused(false)
  t.equal(await tracker.stop(), 0)
})
