import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { NATS_SERVER } from '../../bench/rivals/nats-program.ts'
import { keepRunning } from '../fixtures/keep-running.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { startTracker, type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import {
  type ApiNode,
  downloadsOf,
  equalSwarms,
  startApiNode,
  swarmOf,
} from './fixtures/api-node.ts'
import { CuttingProxy } from './fixtures/cutting-proxy.ts'
import { areEqual, Load } from './fixtures/load.ts'
import { Namespaces } from './fixtures/namespaces.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { joined, SECRET, until } from './fixtures/node.ts'
import { startSharedDatabase } from './fixtures/shared-database.ts'
import { gained } from './fixtures/three-nodes.ts'
import {
  equals,
  expected,
  idOf,
  inDatabase,
  inMemory,
  keyOf,
  torrentOf,
  USERS,
  UserClient,
} from './fixtures/user-clients.ts'

const INFO_HASHES = [0, 1, 2].map(torrentOf)
/** Steps of a partition. Each is an announce to either side. */
const STEPS = 40

type Partition = {
  readonly name: string
  begin(proxy: CuttingProxy): void
  /** Whether the node behind the proxy notices that it is alone. */
  readonly isNoticed: boolean
}

const PARTITIONS: readonly Partition[] = [
  { name: 'closed connections', begin: proxy => proxy.cut(), isNoticed: true },
  { name: 'a network that drops all packets', begin: proxy => proxy.freeze(), isNoticed: true },
  {
    name: 'a slow network',
    begin(proxy) {
      proxy.delayMillis = 400
    },
    isNoticed: false,
  },
]

type World = {
  readonly nodes: readonly [ApiNode, ApiNode, ApiNode]
  readonly clients: readonly UserClient[]
  readonly random: (below: number) => number
  /** Downloads of each torrent and of each user. */
  readonly downloads: { readonly torrents: number[]; readonly users: number[] }
}

/** Nodes a and b use the server, and c uses it through the proxy. All have the users. */
async function startWorld(t: Test, path: string, server: string, proxy: string): Promise<World> {
  const config = {
    udp_server: [],
    tracker_config: { users_enabled: true },
    accounting: { peers_per_user: 0 },
    database: { engine: 'pgsql', path, insert_vacant: true, persistent_interval: 1 },
  }
  const start = (name: string, url: string) => startApiNode(t, { name, servers: [url], config })
  const nodes = await Promise.all([start('a', server), start('b', server), start('c', proxy)])
  await Promise.all(nodes.map(({ tracker }) => joined(tracker, 2)))
  for (const user of USERS) {
    await nodes[0].admin.call('POST', `/api/user/${idOf(user)}/${keyOf(user)}/0/0/0/0/1`)
  }
  for (const node of nodes) {
    await equals('the users are on all nodes', '0/0 0/0 0/0 0/0', () => inMemory(node))
  }
  const clients = Array.from({ length: 24 }, (_, n) => new UserClient(n, USERS[n % 4] as number))
  const downloads = { torrents: [0, 0, 0], users: [0, 0, 0, 0] }
  return { nodes, clients, random: seededRandom(11), downloads }
}

/** The last part of a download, at one node or at several. */
async function complete(
  { downloads }: World,
  client: UserClient,
  nodes: readonly ApiNode[],
): Promise<void> {
  client.left = 0
  client.down += 1000
  await Promise.all(nodes.map(node => client.announce(node, 'completed')))
  const [torrent, user] = [client.number % 3, client.user - 1]
  downloads.torrents[torrent] = (downloads.torrents[torrent] as number) + 1
  downloads.users[user] = (downloads.users[user] as number) + 1
}

/** Announces to both sides, of clients that stay at one side and of others that use both. */
async function announceToBothSides(world: World, from: number): Promise<void> {
  const { clients, nodes, random } = world
  const [a, b, c] = nodes
  for (let step = 0; step < STEPS; step++) {
    const client = clients[random(clients.length)] as UserClient
    client.up += random(2 ** 30)
    client.down += client.left > 0 ? random(1e6) : 0
    await client.announce(nodes[random(3)] as ApiNode)
  }
  // Different announces of one client to two nodes in the same second have no order.
  await sleep(1100)
  await complete(world, clients[from] as UserClient, [b])
  await complete(world, clients[from + 1] as UserClient, [c])
  await complete(world, clients[from + 2] as UserClient, [a, c])
  await (clients[from + 3] as UserClient).announce(c, 'stopped')
  const last = clients[from + 4] as UserClient
  for (const node of [a, c]) {
    last.up += 1
    await last.announce(node)
  }
}

t.test(
  'both sides of a partition serve, and are equal afterwards',
  { skip: withoutNats },
  async t => {
    const path = await startSharedDatabase(t)
    if (path === undefined) return
    const [nats] = await startNatsServers(t, 1)
    const proxy = await CuttingProxy.start(t, nats?.port ?? 0)
    const world = await startWorld(t, path, nats?.url ?? '', proxy.url)
    const { clients, downloads, nodes } = world
    const [a, , c] = nodes
    const database = new pg.Client({ connectionString: path })
    await database.connect()
    t.teardown(() => database.end())
    for (const client of clients)
      await client.announce(nodes[client.number % 3] as ApiNode, 'started')
    for (const node of nodes)
      await equals('all nodes have all clients', expected(clients), () => inMemory(node))

    for (const [n, { begin, isNoticed, name }] of PARTITIONS.entries()) {
      const lines = c.tracker.log.length
      begin(proxy)
      if (isNoticed) await c.tracker.line(({ msg }) => msg.startsWith('not connected'), lines)
      await announceToBothSides(world, n * 5)
      if (isNoticed) {
        const [first, second] = await Promise.all([a, c].map(node => swarmOf(node, INFO_HASHES)))
        t.strictNotSame(first, second, `${name}: the sides do not know each other`)
      }
      proxy.restore()
      for (const node of nodes)
        await equals(`${name}: totals of users`, expected(clients), () => inMemory(node))
      await equalSwarms(nodes, INFO_HASHES, `${name}: the swarms are equal`)
      for (const node of nodes) {
        const found = async () => (await downloadsOf(node, INFO_HASHES)).join()
        await equals(`${name}: downloads of torrents`, downloads.torrents.join(), found)
      }
      await equals(`${name}: the database`, expected(clients), () => inDatabase(database))
    }
    const { rows } = await database.query('select completed from users order by uuid')
    t.same(
      rows.map(row => Number(row.completed)),
      downloads.users,
      'downloads of users',
    )
  },
)

/** Starts a NATS server in each namespace. A server drops the other one after three seconds. */
async function startServers(t: Test, namespaces: Namespaces): Promise<void> {
  const folder = temporaryFolder(t)
  for (const n of [0, 1]) {
    const file = join(folder, `nats-${n}.conf`)
    const route = (side: number) => `${namespaces.sideAddress(side)}:6222`
    writeFileSync(
      file,
      `listen: 127.0.0.1:4222\nping_interval: "1s"\nping_max: 2\ncluster { name: test, listen: "${route(n)}", routes: ["nats://${route(1 - n)}"] }\n`,
    )
    const [program = '', ...words] = namespaces.through(n)
    const { start } = keepRunning(t, 'Server is ready', 'SIGKILL', () =>
      spawn(program, [...words, NATS_SERVER ?? '', '-c', file], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    )
    await start()
  }
}

/** Starts a node in each namespace, and returns them as the test reaches them. */
async function startNodes(t: Test, namespaces: Namespaces): Promise<Tracker[]> {
  const nodes = await Promise.all(
    [0, 1].map(n => {
      const config = {
        http_server: [{ bind_address: `${namespaces.address(n)}:0` }],
        udp_server: [],
        nodes: {
          name: `node-${n}`,
          servers: ['nats://127.0.0.1:4222'],
          secret: SECRET,
          join_timeout: 10,
        },
      }
      const through = namespaces.through(n)
      return startTracker(t, config, temporaryFolder(t), { through })
    }),
  )
  await Promise.all(nodes.map(node => joined(node, 1)))
  return nodes.map((node, n) => ({
    ...node,
    url: () => `http://${namespaces.address(n)}:${node.port('http')}`,
  }))
}

t.test('two sites whose link is down for a while', { skip: withoutNats }, async t => {
  const namespaces = Namespaces.create(t)
  if (typeof namespaces === 'string') {
    t.comment(`skipped: ${namespaces}`)
    return
  }
  await startServers(t, namespaces)
  const nodes = await startNodes(t, namespaces)
  const loads = nodes.map((node, n) => new Load(t, () => node, n * 1e6))
  await gained(loads, 50)
  const lines = nodes.map(({ log }) => log.length)
  namespaces.setLink('down')
  await Promise.all(
    nodes.map((node, n) => node.line(({ msg }) => msg.startsWith('a node is silent'), lines[n])),
  )
  await gained(loads, 100)
  t.notOk(await areEqual(nodes), 'the sites grow apart')
  namespaces.setLink('up')
  const isDisturbed = namespaces.disturb()
  t.comment(isDisturbed ? 'the link loses packets' : 'this kernel does not have netem')
  await Promise.all(
    nodes.map((node, n) => node.line(({ msg }) => msg === 'a node is up', lines[n])),
  )
  await gained(loads, 50)
  await Promise.all(loads.map(load => load.stop()))
  t.strictSame(
    loads.map(({ failed }) => failed),
    [0, 0],
    'no announce failed',
  )
  await until(() => areEqual(nodes), 'both sites are equal')
})
