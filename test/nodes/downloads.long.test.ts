import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type AdminClient, hex, KEY, startWithApi } from '../fixtures/admin-client.ts'
import { getBencoded, query } from '../fixtures/http-client.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, SECRET, scrape, until } from './fixtures/node.ts'
import { startSharedDatabase } from './fixtures/shared-database.ts'
import { equals } from './fixtures/user-clients.ts'

type Node = { readonly tracker: Tracker; readonly admin: AdminClient }

const TORRENTS = 3
const CLIENTS = 60

async function announce({ tracker }: Node, client: number, left: number, event: string) {
  const fields = {
    info_hash: hashOf(1 + (client % TORRENTS)),
    peer_id: `-MU0100-${String(client).padStart(12, '0')}`,
    port: 2000 + client,
    uploaded: 0,
    downloaded: 0,
    left,
    event,
  }
  const answer = await getBencoded(tracker.url(), `/announce${query(fields)}`)
  if ('failure reason' in answer) throw new Error(String(answer['failure reason']))
}

/** Starts a database and two nodes that write to it every second. */
async function startNodes(t: Test, tracker: object) {
  const path = await startSharedDatabase(t)
  if (path === undefined) return undefined
  const [nats] = await startNatsServers(t, 1)
  const start = (name: string): Promise<Node> =>
    startWithApi(t, {
      http_server: [{ bind_address: '127.0.0.1:0' }],
      udp_server: [],
      frontend: { workers: 0 },
      tracker_config: tracker,
      database: {
        engine: 'pgsql',
        path,
        insert_vacant: true,
        update_peers: true,
        persistent_interval: 1,
      },
      nodes: { name, servers: [nats?.url ?? ''], secret: SECRET, join_timeout: 5 },
    })
  const [a, b] = await Promise.all([start('a'), start('b')])
  await Promise.all([joined(a.tracker, 1), joined(b.tracker, 1)])
  const database = new pg.Client({ connectionString: path })
  await database.connect()
  t.teardown(() => database.end())
  return { a, b, database, nats }
}

t.test('downloads to two nodes are counted once each', { skip: withoutNats }, async t => {
  const started = await startNodes(t, { whitelist_enabled: true })
  if (!started) {
    return
  }
  const { a, b, database } = started
  const hashes = Array.from({ length: TORRENTS }, (_, n) => hex(1 + n))
  await a.admin.call('POST', '/api/whitelists', hashes)
  await until(async () => {
    const found = await Promise.all(
      hashes.map(hash => b.admin.call('GET', `/api/whitelist/${hash}`)),
    )
    return found.every(({ status }) => status === 200)
  }, 'b has the whitelist of a')

  const scrapeAll = ({ tracker }: Node) =>
    Promise.all(hashes.map((_, n) => scrape(tracker, hashOf(1 + n))))
  const counts = Array.from({ length: TORRENTS }, () => ({ seeds: 0, peers: 0, completed: 0 }))
  const firstOf = (client: number) => (client % 2 ? a : b)
  for (let client = 0; client < CLIENTS; client++) {
    await announce(firstOf(client), client, 5, 'started')
  }
  for (const node of [a, b]) {
    const hasAll = async () => {
      const torrents = await scrapeAll(node)
      return torrents.reduce((sum, { leechers }) => sum + leechers, 0) === CLIENTS
    }
    await until(hasAll, 'both nodes know all clients')
  }
  // Threads of a busy machine may disagree about the second, by which nodes order announces.
  await sleep(3000)
  for (let client = 0; client < CLIENTS; client++) {
    const first = firstOf(client)
    const second = first === a ? b : a
    const count = counts[client % TORRENTS] as (typeof counts)[number]
    if (client % 5 === 0) {
      count.peers++
      continue
    }
    count.seeds++
    count.completed++
    const at = client % 5 < 3 ? [first, second] : [second]
    await Promise.all(at.map(node => announce(node, client, 0, 'completed')))
  }
  const wanted = JSON.stringify(counts)
  const stored = async () => {
    const { rows } = await database.query(
      `select encode(infohash, 'hex') as hash, seeds, peers, completed from torrents`,
    )
    const found = hashes.map(hash => rows.find(row => row.hash === hash))
    return JSON.stringify(
      found.map(row => ({
        seeds: Number(row?.seeds),
        peers: Number(row?.peers),
        completed: Number(row?.completed),
      })),
    )
  }
  await equals('the database is exact', wanted, stored)
  const wantedHere = counts.map(({ completed, peers, seeds }) => ({
    seeders: seeds,
    leechers: peers,
    completed,
  }))
  for (const node of [a, b]) {
    await equals('so is the memory', JSON.stringify(wantedHere), async () =>
      JSON.stringify(await scrapeAll(node)),
    )
    t.equal(await node.tracker.stop(), 0)
  }
  t.equal(await stored(), wanted, 'nothing is written twice at the end')
})

t.test('a node does not delete a key that another extended', { skip: withoutNats }, async t => {
  const started = await startNodes(t, { keys_enabled: true, keys_cleanup_interval: 1 })
  if (!started) {
    return
  }
  const { a, b, database, nats } = started
  const [extended, expired] = [KEY, '4'.repeat(40)]
  await a.admin.call('POST', '/api/keys', { [extended]: 15, [expired]: 15 })
  const has = async ({ admin }: Node, key: string) =>
    (await admin.call('GET', `/api/key/${key}`)).status === 200
  await until(() => has(b, extended), 'b has the key of a')
  await nats?.signal('SIGKILL')
  await b.tracker.line(({ msg }) => msg.startsWith('not connected to NATS'))
  await a.admin.call('POST', '/api/keys', { [extended]: 3600 })
  const rows = async () => {
    const found = await database.query(`select encode(hash, 'hex') as hash from keys`)
    return found.rows.map(({ hash }) => hash)
  }
  await until(async () => (await rows()).length === 1, 'the other key is deleted')
  await until(async () => !(await has(b, extended)), 'the first one has expired on b')
  await sleep(2500)
  t.same(await rows(), [extended], 'several cleanups of b leave it')
  t.equal(await b.tracker.stop(), 0)
  t.same(await rows(), [extended], 'and its stop')
  t.ok(await has(a, extended))
  await nats?.start()
})
