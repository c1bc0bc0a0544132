import t, { type Test } from 'tap'
import {
  type AdminClient,
  announce,
  hex,
  startWithApi,
  USER,
  UUID,
} from '../fixtures/admin-client.ts'
import { getBencoded, latin1 } from '../fixtures/http-client.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'

const UNLIMITED = { announces_per_address: 0 }

type Client = { uploaded?: number; downloaded?: number; event?: string; left?: number }

/** A tracker with one user, which announces through its path. */
async function start(t: Test, more: Record<string, object> = {}, folder = temporaryFolder(t)) {
  const config = {
    limits: UNLIMITED,
    frontend: { workers: 0 },
    ...more,
    tracker_config: { users_enabled: true, ...more['tracker_config'] },
  }
  const { tracker, admin } = await startWithApi(t, config, folder)
  return { tracker, admin, folder }
}

const addUser = (admin: AdminClient) =>
  admin.call('POST', '/api/users', [[UUID, USER, 0, 0, 0, 9, 1]])

function say(tracker: Tracker, client: number, fields: Client) {
  return getBencoded(tracker.url(), announce(`/${USER}/announce`, client, fields))
}

t.test('factors apply from the next announce, and outlive a restart', async t => {
  const first = await start(t)
  const { admin, folder, tracker } = first
  await addUser(admin)
  await say(tracker, 1, { uploaded: 0 })
  await say(tracker, 1, { uploaded: 100, downloaded: 100 })
  const set = await admin.call('POST', '/api/factors', [
    { scope: 'everybody', upload: 2, download: 1 },
    { scope: 'torrent', id: hex(1), upload: 1, download: 0 },
    { scope: 'user', id: USER, upload: 1.5, download: 1, until: 4_000_000_000 },
    { scope: 'user', id: hex(77), upload: 3, download: 1 },
  ])
  t.same(set.json['factors'], ['added', 'added', 'added', 'unknown'])
  await say(tracker, 1, { uploaded: 200, downloaded: 200 })
  t.match(await admin.call('GET', `/api/user/${USER}`), {
    json: { uploaded: 400, downloaded: 100 },
  })
  t.match(await admin.call('GET', `/api/user/${USER}/account`), {
    json: { flags: [], downloading: 1, factors: { upload: 1.5, until: 4_000_000_000 } },
  })
  t.match(await admin.call('GET', `/api/user/${USER}/torrents`), {
    json: {
      torrents: [
        { info_hash: hex(1), uploaded: 200, downloaded: 200, credited_up: 400, credited_down: 100 },
      ],
    },
  })
  t.equal(await tracker.stop(), 0)

  const second = await start(t, {}, folder)
  await say(second.tracker, 1, { uploaded: 300, downloaded: 300 })
  const user = () => second.admin.call('GET', `/api/user/${USER}`)
  t.match(await user(), { json: { uploaded: 700, downloaded: 100 } })
  const everything = [
    { scope: 'everybody' },
    { scope: 'torrent', id: hex(1) },
    { scope: 'user', id: USER },
  ]
  const removed = await second.admin.call('DELETE', '/api/factors', everything)
  t.same(removed.json['factors'], ['deleted', 'deleted', 'deleted'])
  await say(second.tracker, 1, { uploaded: 400, downloaded: 400 })
  t.match(await user(), { json: { uploaded: 800, downloaded: 200 } })
  t.match(await second.admin.call('GET', '/api/list/factors'), { json: { factors: [] } })
})

t.test('slots refuse a client, but credit it', async t => {
  const accounting = { peers_per_user: 1, downloads_per_user: 0 }
  const { admin, tracker } = await start(t, { accounting })
  await addUser(admin)
  const other = (fields: Client) => {
    const target = announce(`/${USER}/announce`, 1, fields).replace(/peer_id=[^&]*/, peerId)
    return getBencoded(tracker.url(), target)
  }
  const peerId = `peer_id=${'x'.repeat(20)}`
  await say(tracker, 1, { uploaded: 0 })
  for (const uploaded of [0, 50]) {
    const refused = await other({ uploaded })
    t.match(latin1(refused['failure reason']), /too many clients/)
  }
  t.match(await admin.call('GET', `/api/user/${USER}`), { json: { uploaded: 50 } })
  await say(tracker, 1, { uploaded: 0, event: 'stopped' })
  t.match(await other({ uploaded: 60 }), { complete: 0, incomplete: 1 })
})

t.test('hit-and-run candidates, a snatch list, and flags', async t => {
  const accounting = { suspicious_rate: 1_000_000 }
  const { admin, folder, tracker } = await start(t, { accounting })
  await addUser(admin)
  await say(tracker, 1, { downloaded: 0 })
  await say(tracker, 1, { downloaded: 5, left: 0, event: 'completed' })
  await say(tracker, 2, { uploaded: 0 })
  await say(tracker, 2, { uploaded: 2 ** 50 })
  const hash = hex(1)
  const list = async (path: string, name: string) =>
    (await admin.call('GET', path)).json[name] as Record<string, unknown>[]
  const torrents = await list(`/api/user/${USER}/torrents`, 'torrents')
  t.equal(torrents.length, 2)
  t.match(
    torrents.find(({ info_hash }) => info_hash === hash),
    { completed: 1, left: 0, active: 1, seeding_seconds: 0 },
  )
  t.same(await list(`/api/user/${USER}/torrents?hit_and_run=3600`, 'torrents'), [], 'still there')
  t.match(await list(`/api/torrent/${hash}/users?completed=1`, 'users'), [
    { uuid: UUID, key: USER },
  ])
  t.same(await list(`/api/torrent/${hex(2)}/users?completed=1`, 'users'), [])
  t.match(await admin.call('GET', '/api/list/flagged'), { json: { users: [USER] } })
  t.match(await admin.call('GET', `/api/user/${USER}/account`), {
    json: { flags: ['grew_too_fast'] },
  })
  t.equal(await tracker.stop(), 0)

  const second = await start(t, { accounting }, folder)
  t.match(await second.admin.call('GET', '/api/list/flagged'), { json: { users: [USER] } })
  t.match(await second.admin.call('DELETE', `/api/user/${USER}/flags`), { status: 200 })
  t.match(await second.admin.call('GET', '/api/list/flagged'), { json: { users: [] } })
  t.equal(await second.tracker.stop(), 0)
  const third = await start(t, { accounting }, folder)
  t.match(await third.admin.call('GET', '/api/list/flagged'), { json: { users: [] } }, 'for good')
})

t.test('without users there are no such reports', async t => {
  const { admin } = await startWithApi(t, { frontend: { workers: 0 } })
  await addUser(admin)
  const status = 'users not enabled'
  t.match(await admin.call('GET', `/api/user/${USER}/torrents`), { status: 400, json: { status } })
  t.match(await admin.call('GET', `/api/torrent/${hex(1)}/users`), {
    status: 400,
    json: { status },
  })
})
