import pg from 'pg'
import t, { type Test } from 'tap'
import { startWithApi } from '../fixtures/admin-client.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import type { ApiNode } from './fixtures/api-node.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, SECRET, until } from './fixtures/node.ts'
import { startSharedDatabase } from './fixtures/shared-database.ts'
import {
  equals,
  expected,
  idOf,
  inDatabase,
  inMemory,
  keyOf,
  USERS,
  UserClient,
} from './fixtures/user-clients.ts'

/** Three nodes, of which the third one writes to the database only when it stops. */
async function startNodes(t: Test, path: string, nats: string) {
  const folders = ['a', 'b', 'c'].map(() => temporaryFolder(t))
  const start = (n: number) => {
    const config = {
      http_server: [{ bind_address: '127.0.0.1:0' }],
      udp_server: [],
      frontend: { workers: 0 },
      tracker_config: { users_enabled: true },
      accounting: { peers_per_user: 0 },
      database: {
        engine: 'pgsql',
        path,
        insert_vacant: true,
        persistent_interval: n === 2 ? 3600 : 1,
      },
      nodes: { name: 'abc'[n], servers: [nats], secret: SECRET, join_timeout: 5 },
    }
    return startWithApi(t, config, folders[n])
  }
  const nodes: ApiNode[] = await Promise.all([start(0), start(1), start(2)])
  await Promise.all(nodes.map(({ tracker }) => joined(tracker, 2)))
  return { nodes, start }
}

t.test('users of three nodes have exactly their bytes', { skip: withoutNats }, async t => {
  const path = await startSharedDatabase(t)
  if (path === undefined) return
  const [nats] = await startNatsServers(t, 1)
  const { nodes, start } = await startNodes(t, path, nats?.url ?? '')
  const [a, b, c] = nodes as [ApiNode, ApiNode, ApiNode]
  const database = new pg.Client({ connectionString: path })
  await database.connect()
  t.teardown(() => database.end())

  for (const user of USERS) {
    const at = nodes[user % 3] as ApiNode
    await at.admin.call('POST', `/api/user/${idOf(user)}/${keyOf(user)}/0/0/0/0/1`)
  }
  for (const node of nodes) {
    await equals('the users are on all nodes', '0/0 0/0 0/0 0/0', () => inMemory(node))
  }

  const random = seededRandom(7)
  const clients = Array.from({ length: 12 }, (_, n) => new UserClient(n, USERS[n % 4] as number))
  for (const client of clients) {
    client.up = random(1e6)
    client.down = random(1e6)
    await client.announce(nodes[client.number % 3] as ApiNode, 'started')
  }
  for (let round = 0; round < 150; round++) {
    const client = clients[random(clients.length)] as UserClient
    client.up += random(2 ** 36)
    client.down += random(2) * random(1e6)
    await client.announce(nodes[random(3)] as ApiNode)
    // The same announce again, to another node: a client whose answer was lost.
    if (random(4) === 0) await client.announce(nodes[random(3)] as ApiNode)
  }
  for (const node of nodes) {
    await equals('all nodes agree', expected(clients), () => inMemory(node))
  }

  const twice = clients[0] as UserClient
  twice.left = 0
  await Promise.all([twice.announce(a, 'completed'), twice.announce(b, 'completed')])
  const alone = clients[1] as UserClient
  alone.left = 0
  alone.down += 12_345
  await alone.announce(c, 'completed')
  for (const node of [a, b]) {
    await equals('the other nodes know the last announces of c', expected(clients), () =>
      inMemory(node),
    )
  }
  t.equal(await c.tracker.stop('SIGKILL'), 'SIGKILL')
  await equals('the others write for the killed node', expected(clients), () =>
    inDatabase(database),
  )
  const completed = async () => {
    const { rows } = await database.query(
      'select completed from torrents where completed > 0 order by infohash',
    )
    return rows.map(row => row.completed).join(' ')
  }
  await equals('each download is counted once', '1 1', completed)
  const { rows } = await database.query('select completed from users order by uuid')
  t.same(
    rows.map(row => Number(row.completed)),
    [1, 1, 0, 0],
  )

  for (const client of clients) {
    client.up += 1 + random(1e6)
    await client.announce([a, b][random(2)] as ApiNode)
  }
  nodes[2] = await start(2)
  await joined(nodes[2].tracker, 2)
  for (const client of clients) {
    client.up += 1 + random(1e6)
    await client.announce(nodes[2], 'stopped')
  }
  await testFactors(t, nodes)
  t.equal(await nodes[2].tracker.stop(), 0)
  await equals('the database is exact', expected(clients), () => inDatabase(database))
  for (const node of [a, b]) {
    await equals('so is the memory', expected(clients), () => inMemory(node))
    t.equal(await node.tracker.stop(), 0)
  }
  t.equal(await inDatabase(database), expected(clients))
  t.equal(await completed(), '1 1')
})

async function testFactors(t: Test, nodes: readonly ApiNode[]): Promise<void> {
  const [a, b, c] = nodes as [ApiNode, ApiNode, ApiNode]
  const factors = [{ scope: 'user', id: keyOf(4), upload: 2.5, download: 0, until: 0 }]
  await b.admin.call('POST', '/api/factors', factors)
  for (const node of [a, c]) {
    await until(async () => {
      const { json } = await node.admin.call('GET', '/api/list/factors')
      return JSON.stringify(json['factors']) === JSON.stringify(factors)
    }, 'the factors of b are on all nodes')
  }
  await a.admin.call('POST', `/api/user/${idOf(5)}/${keyOf(5)}/77/0/0/0/1`)
  await until(async () => {
    const { json, status } = await c.admin.call('GET', `/api/user/${keyOf(5)}`)
    return status === 200 && json['uploaded'] === 77
  }, 'a user of a is on c')
  await c.admin.call('DELETE', `/api/user/${keyOf(5)}`)
  await until(
    async () => (await a.admin.call('GET', `/api/user/${keyOf(5)}`)).status === 404,
    'a removes it too',
  )
  t.pass('changes through the API reach all nodes')
}
