import t from 'tap'
import { startWithApi } from '../fixtures/admin-client.ts'
import { getBencoded, latin1, query } from '../fixtures/http-client.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'

const KEY = '1'.repeat(40)
const USER = '2'.repeat(40)
const UUID = '550e8400-e29b-41d4-a716-446655440000'
const hex = (n: number) => hashOf(n).toString('hex')

type Client = { uploaded?: number; event?: string; left?: number }

/** The target of an announce of client `n` for torrent `n`, below `path`. */
function announce(path: string, n: number, more: Client = {}): string {
  const { peerId, port } = clientOf(n)
  const fields = { info_hash: hashOf(n), peer_id: peerId, port, left: 1, downloaded: 0, ...more }
  return `${path}${query(fields)}`
}

for (const workers of [0, 2]) {
  t.test(`what is entered through the API counts at once, with ${workers} workers`, async t => {
    const { tracker, admin } = await startWithApi(t, {
      frontend: { workers },
      tracker_config: { whitelist_enabled: true, keys_enabled: true, users_enabled: true },
    })
    const path = `/${KEY}/${USER}/announce`
    const why = async (target: string) =>
      latin1((await getBencoded(tracker.url(), target))['failure reason'] ?? '')
    t.equal(await why(announce('/announce', 1)), 'missing key')
    t.equal(await why(announce(path, 1)), 'unknown key')
    t.match(await admin.call('POST', `/api/key/${KEY}/0`), { status: 200, json: { status: 'ok' } })
    t.equal(await why(announce(path, 1)), 'unknown user key')
    const user = `/api/user/${UUID}/${USER}/100/0/0/0/1`
    t.match(await admin.call('POST', user), { status: 200 })
    t.equal(await why(announce(path, 1)), 'unknown info_hash')
    t.match(await admin.call('POST', `/api/whitelist/${hex(1)}`), { status: 200 })
    t.equal(await why(announce(path, 1, { uploaded: 0, event: 'started' })), '')
    t.equal(await why(announce(path, 1, { uploaded: 42 })), '')
    t.match(await admin.call('GET', `/api/user/${USER}`), {
      status: 200,
      json: { uuid: UUID, uploaded: 142, active: 1, torrents_active: [{ [hex(1)]: Number }] },
    })
    t.match(await admin.call('GET', `/api/torrent/${hex(1)}`), {
      status: 200,
      json: { seeds: [], peers: [{ peer_addr: `127.0.0.1:${clientOf(1).port}`, uploaded: 42 }] },
    })
    t.match(await admin.call('DELETE', `/api/whitelist/${hex(1)}`), { status: 200 })
    t.equal(await why(announce(path, 1)), 'unknown info_hash')
    t.match(await admin.call('DELETE', `/api/torrent/${hex(1)}`), { status: 200 })
    t.match(await admin.call('GET', `/api/torrent/${hex(1)}`), { status: 404 })
    t.match(await admin.call('DELETE', `/api/key/${KEY}`), { status: 200 })
    t.equal(await why(announce(path, 1)), 'unknown key')
    t.equal(await tracker.stop(), 0)
  })
}

t.test('all that was acknowledged, and the swarm, is there after a restart', async t => {
  const folder = temporaryFolder(t)
  const config = {
    frontend: { workers: 0 },
    tracker_config: { users_enabled: true },
    database: { insert_vacant: true },
  }
  const first = await startWithApi(t, config, folder)
  await first.admin.call('POST', '/api/whitelists', [hex(1), hex(2)])
  await first.admin.call('POST', '/api/blacklists', [hex(3)])
  await first.admin.call('POST', '/api/keys', { [KEY]: 3600 })
  await first.admin.call('POST', '/api/torrents', { [hex(9)]: 77 })
  await first.admin.call('POST', '/api/users', [[UUID, USER, 100, 0, 0, 0, 1]])
  const url = first.tracker.url()
  const path = `/${USER}/announce`
  await getBencoded(url, announce(path, 1, { uploaded: 0, event: 'started' }))
  await getBencoded(url, announce(path, 1, { uploaded: 1000, event: 'completed', left: 0 }))
  t.equal(await first.tracker.stop(), 0)

  const second = await startWithApi(t, config, folder)
  await second.tracker.line(({ msg }) => msg === 'swarms are back')
  const { admin } = second
  t.match(await admin.call('GET', '/api/whitelists', undefined), { status: 400 })
  t.match(await admin.call('GET', `/api/whitelist/${hex(2)}`), { status: 200 })
  t.match(await admin.call('GET', `/api/blacklist/${hex(3)}`), { status: 200 })
  const key = await admin.call('GET', `/api/key/${KEY}`)
  t.ok(Number(key.json['timeout']) > 3500 && Number(key.json['timeout']) <= 3600)
  t.match(await admin.call('GET', `/api/torrent/${hex(9)}`), { json: { completed: 77 } })
  t.match(await admin.call('GET', `/api/torrent/${hex(1)}`), {
    json: { completed: 1, seeds: [{ uploaded: 1000 }] },
  })
  t.match(await admin.call('GET', `/api/user/${USER}`), {
    json: { uploaded: 1100, completed: 1 },
  })
  // The snapshot kept what the peer had stated, so its next announce is credited with the rest.
  await getBencoded(second.tracker.url(), announce(path, 1, { uploaded: 1500, left: 0 }))
  t.match(await admin.call('GET', `/api/user/${USER}`), { json: { uploaded: 1600 } })
  t.equal(await second.tracker.stop(), 0)
})

t.test('kill -9 loses nothing that the API acknowledged', async t => {
  const folder = temporaryFolder(t)
  const config = { frontend: { workers: 1 } }
  let acknowledged = 0
  for (let round = 0; round < 3; round++) {
    const { tracker, admin } = await startWithApi(t, config, folder)
    for (let n = 0; n < acknowledged; n += 7) {
      t.match(await admin.call('GET', `/api/whitelist/${hex(n)}`), { status: 200 }, `${n}`)
    }
    setTimeout(() => process.kill(tracker.pid, 'SIGKILL'), 300 + round * 150)
    try {
      for (;;) {
        const answer = await admin.call('POST', `/api/whitelist/${hex(acknowledged)}`)
        if (answer.status === 200 || answer.status === 404) acknowledged++
        else t.fail(`status ${answer.status}`)
      }
    } catch {
      // The connection broke: whatever was on its way was not acknowledged.
    }
    t.equal(await tracker.ended, 'SIGKILL')
  }
  t.ok(acknowledged > 20, `${acknowledged} acknowledged`)
})
