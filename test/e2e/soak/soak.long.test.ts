import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pathOf } from '../../database/fixtures/server-database.ts'
import { type AdminClient, startWithApi } from '../../fixtures/admin-client.ts'
import { startPostgres } from '../../fixtures/database-servers.ts'
import { scrapeCounts } from '../../fixtures/http-client.ts'
import { residentMib } from '../../fixtures/resident-memory.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { hashOf } from '../../fixtures/tracker-client.ts'
import { createDatabaseTables } from '../fixtures/database-tables.ts'
import { type Clients, startHttpClients, startUdpClients } from './fixtures/clients.ts'
import { type Ledger, openLedger } from './fixtures/session.ts'
import { startSockets } from './fixtures/sockets.ts'
import { makeTrouble, type Trouble } from './fixtures/trouble.ts'

/** `npm run soak` runs ten minutes. Memory is checked in runs of at least two minutes. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 20)
const MEMORY_SECONDS_MIN = 120
const MEMORY_GROWTH_MIB_MAX = 40
const TORRENTS = 20
const HTTP_CLIENTS = 30
const UDP_CLIENTS = 15
const SOCKETS = 12
/** First number after those of the other clients. */
const SOCKET_TORRENTS = 3
const USERS = HTTP_CLIENTS + UDP_CLIENTS

t.setTimeout((SECONDS + 280) * 1000)

const userKey = (n: number) => `${n}`.padStart(40, '5')
const userId = (n: number) => `00000000-0000-4000-8000-${`${n}`.padStart(12, '0')}`

/**
 * Changes and reads lists and keys until stopped. Failures while the database is down are allowed.
 */
function startOperator(admin: AdminClient, trouble: Trouble) {
  const wrong: string[] = []
  let calls = 0
  let broken = 0
  let stopped = false
  async function call(method: string, path: string, good: readonly number[]): Promise<void> {
    const wasOutage = trouble.isOutage
    try {
      const { status, json } = await admin.call(method, path)
      calls++
      const excused = status === 500 && (wasOutage || trouble.isOutage)
      if (!good.includes(status) && !excused)
        wrong.push(`${method} ${path}: ${status} ${JSON.stringify(json)}`)
    } catch {
      broken++
    }
  }
  const run = async () => {
    for (let n = 0; !stopped; n++) {
      const hash = `${n % 50}`.padStart(40, 'a')
      await call('POST', `/api/blacklist/${hash}`, [200, 404])
      await call('POST', `/api/key/${hash}/60`, [200, 304])
      await call('GET', `/api/user/${userKey(n % USERS)}`, [200])
      await call('DELETE', `/api/blacklist/${hash}`, [200, 404])
      await call('GET', '/stats', [200])
      await sleep(20)
    }
  }
  const running = run()
  return {
    async stop() {
      stopped = true
      await running
      return { wrong, calls, broken }
    },
  }
}

/** Checks that the tracker's final state contains all acknowledged announces. */
async function compareBooks(t: Test, url: string, admin: AdminClient, ledger: Ledger) {
  for (let torrent = 0; torrent < TORRENTS; torrent++) {
    const expected = {
      complete: ledger.seeders[torrent],
      incomplete: ledger.leechers[torrent],
      downloaded: ledger.completed[torrent],
    }
    const counts = await scrapeCounts(url, hashOf(torrent), `/${userKey(0)}/scrape`)
    t.match(counts, expected, `torrent ${torrent}`)
  }
  for (let torrent = TORRENTS; torrent < TORRENTS + SOCKET_TORRENTS; torrent++) {
    // Removal after a socket's close is asynchronous, so the test polls.
    const counts = () => scrapeCounts(url, hashOf(torrent), `/${userKey(0)}/scrape`)
    const isEmpty = async () => {
      const { complete, incomplete } = await counts()
      return complete === 0 && incomplete === 0
    }
    while (!(await isEmpty())) await sleep(100)
    t.match(await counts(), { complete: 0, incomplete: 0 }, 'sockets that closed are in no swarm')
  }
  for (let user = 0; user < USERS; user++) {
    const { json } = await admin.call('GET', `/api/user/${userKey(user)}`)
    t.equal(json['uploaded'], ledger.uploaded[user], `user ${user} has all bytes`)
  }
}

function tell(t: Test, name: string, { tally }: Clients): void {
  t.comment(`${name}: ${tally.answered} answered, ${tally.broken} broken`)
  t.ok(tally.answered > SECONDS * 10, `${name} clients were served`)
  t.same(tally.wrong.slice(0, 5), [], `${name}: no error that a client should not see`)
}

t.test(`${SECONDS} seconds of churn, kills, reloads, outages and garbage at once`, async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const database = await startPostgres(t)
  if (!database) t.comment('no PostgreSQL is installed: nothing takes the database away')
  const settings = database ? { engine: 'pgsql', path: pathOf('pgsql', database) } : {}
  if (database) await createDatabaseTables('pgsql', pathOf('pgsql', database))
  const { tracker, admin } = await startWithApi(t, {
    frontend: { workers: 2 },
    tracker_config: { users_enabled: true, blacklist_enabled: true, peers_cleanup_interval: 5 },
    // Sockets of one user are new clients after each reconnection.
    accounting: { peers_per_user: 0 },
    database: { ...settings, persistent_interval: 1, insert_vacant: true },
    snapshot: { interval: 10 },
  })
  const userKeys = Array.from({ length: USERS }, (_, n) => userKey(n))
  const users = userKeys.map((key, n) => [userId(n), key, 0, 0, 0, 0, 1])
  t.match(await admin.call('POST', '/api/users', users), { status: 200 })

  const ledger = openLedger(USERS, TORRENTS)
  const shared = { torrents: TORRENTS, userKeys, ledger, random }
  const http = startHttpClients({
    ...shared,
    port: tracker.port('http', '127.0.0.1'),
    count: HTTP_CLIENTS,
    firstUser: 0,
  })
  const udp = await startUdpClients(t, {
    ...shared,
    port: tracker.port('udp', '127.0.0.1'),
    count: UDP_CLIENTS,
    firstUser: HTTP_CLIENTS,
  })
  const sockets = startSockets(
    t,
    `${tracker.url().replace('http', 'ws')}/${userKey(0)}/announce`,
    SOCKETS,
    client => TORRENTS + (client % SOCKET_TORRENTS),
  )
  const trouble = makeTrouble(tracker, database)
  const operator = startOperator(admin, trouble)
  const memory: number[] = []
  for (let second = 0; second < SECONDS; second++) {
    await sleep(1000)
    memory.push(residentMib(tracker.pid))
  }
  await trouble.stop()
  await Promise.all([http.stop(), udp.stop(), sockets.stop()])
  const { broken, calls, wrong } = await operator.stop()

  const { kills, outages, reloads } = trouble
  const served = [http, udp, sockets].reduce((sum, { tally }) => sum + tally.answered, 0)
  const growth = Math.round(((memory.at(-1) ?? 0) - (memory[0] ?? 0)) * 2 ** 20)
  t.comment(
    `figures: ${served + calls} honest requests served, ${trouble.garbage} hostile messages, ` +
      `${kills + reloads + outages} faults (${kills} kills, ${reloads} reloads, ` +
      `${outages} outages), ${growth} bytes of growth`,
  )
  t.ok(trouble.kills > 0 && trouble.reloads > 0 && (!database || trouble.outages > 0))
  tell(t, 'HTTP', http)
  tell(t, 'UDP', udp)
  tell(t, 'WebSocket', sockets)
  t.comment(`${sockets.meetings()} answers to offers arrived`)
  t.ok(sockets.meetings() > SECONDS)
  t.comment(`API: ${calls} calls, ${broken} broken with a worker`)
  t.same(wrong.slice(0, 5), [], 'the API answered as it should')
  await compareBooks(t, tracker.url(), admin, ledger)
  judgeMemory(t, memory)
  t.notOk(
    tracker.log.some(({ level }) => level >= 60),
    'nothing fatal',
  )
  t.equal(await tracker.stop(), 0)
})

/** The primary's memory in MiB, sampled every second. */
function judgeMemory(t: Test, memory: readonly number[]): void {
  const mean = (from: number, to: number) => {
    const part = memory.slice(Math.floor(memory.length * from), Math.floor(memory.length * to))
    return part.reduce((sum, mib) => sum + mib, 0) / part.length
  }
  const [early, late] = [mean(0.3, 0.4), mean(0.9, 1)]
  t.comment(`memory of the primary: ${early.toFixed(1)} MiB early, ${late.toFixed(1)} MiB late`)
  if (SECONDS >= MEMORY_SECONDS_MIN) t.ok(late - early < MEMORY_GROWTH_MIB_MAX, 'memory is flat')
}
