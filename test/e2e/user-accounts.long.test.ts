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

const ACCOUNTING = { peers_per_user: 1, downloads_per_user: 0, suspicious_rate: 1_000_000 }

type Client = { uploaded?: number; downloaded?: number; event?: string; left?: number }
type Account = { readonly uuid: string; readonly key: string }

/** User `n` of the tests. */
function accountOf(n: number): Account {
  return { uuid: `${n}${UUID.slice(1)}`, key: String(n).repeat(40) }
}

const [SLOTS, FACTORS, FLAGS] = [accountOf(1), accountOf(2), accountOf(3)] as const

/** One start of the tracker. */
class Run {
  readonly admin: AdminClient
  readonly #tracker: Tracker

  constructor({ admin, tracker }: { readonly admin: AdminClient; readonly tracker: Tracker }) {
    this.admin = admin
    this.#tracker = tracker
  }

  add({ uuid, key }: Account) {
    return this.admin.call('POST', '/api/users', [[uuid, key, 0, 0, 0, 9, 1]])
  }

  /** Announces client `n`, or the client with `peerId`, for torrent `n`. */
  announce({ key }: Account, n: number, fields: Client, peerId?: string) {
    const target = announce(`/${key}/announce`, n, fields)
    return getBencoded(
      this.#tracker.url(),
      peerId ? target.replace(/peer_id=[^&]*/, `peer_id=${peerId}`) : target,
    )
  }

  async json(path: string): Promise<Record<string, unknown>> {
    return (await this.admin.call('GET', path)).json
  }

  async list(path: string, name: string): Promise<Record<string, unknown>[]> {
    return (await this.json(path))[name] as Record<string, unknown>[]
  }

  stop(): Promise<number | string> {
    return this.#tracker.stop()
  }
}

async function start(t: Test, folder: string): Promise<Run> {
  const config = {
    udp_server: [],
    accounting: ACCOUNTING,
    tracker_config: { users_enabled: true },
  }
  return new Run(await startWithApi(t, config, folder))
}

/** A client over the limit of a user's peers is refused, but credited. */
async function checkSlots(t: Test, run: Run): Promise<void> {
  const other = (fields: Client) => run.announce(SLOTS, 1, fields, 'x'.repeat(20))
  await run.add(SLOTS)
  await run.announce(SLOTS, 1, { uploaded: 0 })
  for (const uploaded of [0, 50]) {
    const refused = await other({ uploaded })
    t.match(latin1(refused['failure reason']), /too many clients/)
  }
  t.match(await run.json(`/api/user/${SLOTS.key}`), { uploaded: 50 })
  await run.announce(SLOTS, 1, { uploaded: 0, event: 'stopped' })
  t.match(await other({ uploaded: 60 }), { complete: 0, incomplete: 1 })
}

const TORRENT = 2

async function setFactors(t: Test, run: Run): Promise<void> {
  await run.add(FACTORS)
  await run.announce(FACTORS, TORRENT, { uploaded: 0 })
  await run.announce(FACTORS, TORRENT, { uploaded: 100, downloaded: 100 })
  const set = await run.admin.call('POST', '/api/factors', [
    { scope: 'everybody', upload: 2, download: 1 },
    { scope: 'torrent', id: hex(TORRENT), upload: 1, download: 0 },
    { scope: 'user', id: FACTORS.key, upload: 1.5, download: 1, until: 4_000_000_000 },
    { scope: 'user', id: hex(77), upload: 3, download: 1 },
  ])
  t.same(set.json['factors'], ['added', 'added', 'added', 'unknown'])
  await run.announce(FACTORS, TORRENT, { uploaded: 200, downloaded: 200 })
  t.match(await run.json(`/api/user/${FACTORS.key}`), { uploaded: 400, downloaded: 100 })
  t.match(await run.json(`/api/user/${FACTORS.key}/account`), {
    flags: [],
    downloading: 1,
    factors: { upload: 1.5, until: 4_000_000_000 },
  })
  t.match(await run.list(`/api/user/${FACTORS.key}/torrents`, 'torrents'), [
    {
      info_hash: hex(TORRENT),
      uploaded: 200,
      downloaded: 200,
      credited_up: 400,
      credited_down: 100,
    },
  ])
}

async function checkFactorsAfterRestart(t: Test, run: Run): Promise<void> {
  const user = () => run.json(`/api/user/${FACTORS.key}`)
  await run.announce(FACTORS, TORRENT, { uploaded: 300, downloaded: 300 })
  t.match(await user(), { uploaded: 700, downloaded: 100 })
  const removed = await run.admin.call('DELETE', '/api/factors', [
    { scope: 'everybody' },
    { scope: 'torrent', id: hex(TORRENT) },
    { scope: 'user', id: FACTORS.key },
  ])
  t.same(removed.json['factors'], ['deleted', 'deleted', 'deleted'])
  await run.announce(FACTORS, TORRENT, { uploaded: 400, downloaded: 400 })
  t.match(await user(), { uploaded: 800, downloaded: 200 })
  t.same(await run.list('/api/list/factors', 'factors'), [])
}

async function raiseFlag(t: Test, run: Run): Promise<void> {
  const hash = hex(3)
  await run.add(FLAGS)
  await run.announce(FLAGS, 3, { downloaded: 0 })
  await run.announce(FLAGS, 3, { downloaded: 5, left: 0, event: 'completed' })
  await run.announce(FLAGS, 4, { uploaded: 0 })
  await run.announce(FLAGS, 4, { uploaded: 2 ** 50 })
  const torrents = await run.list(`/api/user/${FLAGS.key}/torrents`, 'torrents')
  t.equal(torrents.length, 2)
  t.match(
    torrents.find(({ info_hash }) => info_hash === hash),
    { completed: 1, left: 0, active: 1, seeding_seconds: 0 },
  )
  const candidates = `/api/user/${FLAGS.key}/torrents?hit_and_run=3600`
  t.same(await run.list(candidates, 'torrents'), [], 'a client that seeds is not a candidate')
  t.match(await run.list(`/api/torrent/${hash}/users?completed=1`, 'users'), [FLAGS])
  t.same(await run.list(`/api/torrent/${hex(4)}/users?completed=1`, 'users'), [])
  t.same(await run.list('/api/list/flagged', 'users'), [FLAGS.key])
  t.match(await run.json(`/api/user/${FLAGS.key}/account`), { flags: ['grew_too_fast'] })
}

t.test('slots, factors, completed torrents and flags, across restarts', async t => {
  const folder = temporaryFolder(t)
  const first = await start(t, folder)
  await checkSlots(t, first)
  await setFactors(t, first)
  await raiseFlag(t, first)
  t.equal(await first.stop(), 0)

  const second = await start(t, folder)
  await checkFactorsAfterRestart(t, second)
  t.same(await second.list('/api/list/flagged', 'users'), [FLAGS.key])
  t.match(await second.admin.call('DELETE', `/api/user/${FLAGS.key}/flags`), { status: 200 })
  t.same(await second.list('/api/list/flagged', 'users'), [])
  t.equal(await second.stop(), 0)

  const third = await start(t, folder)
  t.same(await third.list('/api/list/flagged', 'users'), [], 'the removal of a flag is stored')
})

t.test('without users, the reports about users are refused', async t => {
  const { admin } = await startWithApi(t, { udp_server: [] })
  await admin.call('POST', '/api/users', [[UUID, USER, 0, 0, 0, 9, 1]])
  const refusal = { status: 400, json: { status: 'users not enabled' } }
  t.match(await admin.call('GET', `/api/user/${USER}/torrents`), refusal)
  t.match(await admin.call('GET', `/api/torrent/${hex(1)}/users`), refusal)
})
