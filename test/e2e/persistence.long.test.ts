import t, { type Test } from 'tap'
import { pathOf } from '../database/fixtures/server-database.ts'
import { announce, hex, KEY, startWithApi, USER, UUID } from '../fixtures/admin-client.ts'
import { type DatabaseServer, startMariadb, startPostgres } from '../fixtures/database-servers.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { createDatabaseTables } from './fixtures/database-tables.ts'

t.setTimeout(290_000)

/** Announces of ever new clients, a hundred a second: what is tested here is time, and not speed. */
function startGentleLoad(url: string) {
  let answered = 0
  let failed = 0
  let next = 1000
  let stopped = false
  const run = async () => {
    while (!stopped) {
      try {
        const answer = await getBencoded(url, announce('/announce', next++))
        if ('complete' in answer) answered++
        else failed++
      } catch {
        failed++
      }
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }
  const running = run()
  return {
    get answered() {
      return answered
    },
    async answers(more: number): Promise<void> {
      const goal = answered + more
      while (answered < goal) await new Promise(resolve => setTimeout(resolve, 10))
    },
    /** Resolves with how many were not answered as they should. */
    async stop(): Promise<number> {
      stopped = true
      await running
      return failed
    },
  }
}

type Engine = {
  readonly name: string
  readonly path: string | undefined
  readonly server: DatabaseServer | undefined
}

/** The configuration of a tracker on this database. */
function databaseConfig({ name, path }: Engine, more: object = {}): object {
  return path === undefined ? more : { engine: name, path, ...more }
}

async function testRestart(t: Test, engine: Engine): Promise<void> {
  const folder = temporaryFolder(t)
  const config = {
    frontend: { workers: 0 },
    tracker_config: { users_enabled: true },
    database: databaseConfig(engine, { insert_vacant: true }),
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
}

async function testKill(t: Test, engine: Engine): Promise<void> {
  const folder = temporaryFolder(t)
  const config = { frontend: { workers: 1 }, database: databaseConfig(engine) }
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
}

/** Half a minute in all, with the time that the tracker tries what it is asked meanwhile. */
const AWAY_MILLIS = 20_000

async function testOutage(t: Test, engine: Engine, server: DatabaseServer): Promise<void> {
  const folder = temporaryFolder(t)
  const config = {
    frontend: { workers: 1 },
    database: databaseConfig(engine, { insert_vacant: true, persistent_interval: 1 }),
  }
  const { tracker, admin } = await startWithApi(t, config, folder)
  await admin.call('POST', `/api/torrent/${hex(50)}/0`)
  await admin.call('POST', `/api/blacklist/${hex(51)}`)
  const load = startGentleLoad(tracker.url())
  await load.answers(20)
  await server.stop('SIGKILL')
  const complete = { left: 0, event: 'completed' }
  await getBencoded(tracker.url(), announce('/announce', 50, complete))
  const since = load.answered
  await tracker.line(({ msg }) => msg.startsWith('counts cannot be written'))
  await new Promise(resolve => setTimeout(resolve, AWAY_MILLIS))
  t.ok(load.answered > since + 50, 'announces went on')
  const refused = await admin.call('POST', `/api/blacklist/${hex(52)}`)
  t.match(refused, { status: 500, json: { status: 'database error' } }, 'no false ok')
  await server.start()
  await tracker.line(({ msg }) => msg === 'the database takes writes again')
  t.match(await admin.call('POST', `/api/blacklist/${hex(53)}`), { status: 200 })
  t.equal(await load.stop(), 0, 'no announce failed')
  const complaints = tracker.log.filter(({ msg }) => msg.startsWith('counts cannot be written'))
  t.equal(complaints.length, 1, 'one line')
  process.kill(tracker.pid, 'SIGKILL')
  await tracker.ended

  const second = await startWithApi(t, { ...config, snapshot: { enabled: false } }, folder)
  t.match(await second.admin.call('GET', `/api/torrent/${hex(50)}`), { json: { completed: 1 } })
  for (const [n, status] of [
    [51, 200],
    [52, 404],
    [53, 200],
  ])
    t.match(await second.admin.call('GET', `/api/blacklist/${hex(n ?? 0)}`), { status })
  t.equal(await second.tracker.stop(), 0)
}

t.test('kill -9 under load: the swarm of the last snapshot is back', async t => {
  const folder = temporaryFolder(t)
  const config = {
    frontend: { workers: 1 },
    snapshot: { interval: 10 },
    log: { level: 'debug' },
    tracker_config: { request_interval: 60, request_interval_minimum: 60, peers_timeout: 100 },
  }
  const { tracker } = await startWithApi(t, config, folder)
  for (let n = 0; n < 50; n++) await getBencoded(tracker.url(), announce('/announce', n))
  const load = startGentleLoad(tracker.url())
  await load.answers(50)
  const written = await tracker.line(({ msg }) => msg === 'snapshot written')
  await load.answers(20)
  process.kill(tracker.pid, 'SIGKILL')
  await tracker.ended
  await load.stop()
  const second = await startWithApi(t, config, folder)
  const back = await second.tracker.line(({ msg }) => msg === 'swarms are back')
  t.same(back['torrents'], written['torrents'])
  t.same(back['peers'], written['peers'])
  t.ok(Number((back['peers'] as number[])[0]) >= 50)
  for (let n = 0; n < 50; n += 10) {
    t.match(await second.admin.call('GET', `/api/torrent/${hex(n)}`), { status: 200 })
  }
  t.equal(await second.tracker.stop(), 0)
})

const SERVERS = [
  ['pgsql', startPostgres],
  ['mysql', startMariadb],
] as const

t.test('SQLite', async t => {
  const engine = { name: 'sqlite3', path: undefined, server: undefined }
  await t.test('all that was acknowledged, and the swarm, is there after a restart', t =>
    testRestart(t, engine),
  )
  await t.test('kill -9 loses nothing that the API acknowledged', t => testKill(t, engine))
})

for (const [name, start] of SERVERS) {
  t.test(name, async t => {
    const server = await start(t)
    if (!server) {
      t.pass(`no ${name} server is installed`, { skip: 'no server' })
      return
    }
    const engine = { name, path: pathOf(name, server), server }
    await createDatabaseTables(name, engine.path)
    await t.test('all that was acknowledged, and the swarm, is there after a restart', t =>
      testRestart(t, engine),
    )
    await t.test('kill -9 loses nothing that the API acknowledged', t => testKill(t, engine))
    await t.test('a database that is away for a while costs no announce and no ok', t =>
      testOutage(t, engine, server),
    )
  })
}
