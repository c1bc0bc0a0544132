import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createAdministration } from '../../src/admin/operations.ts'
import { type Change, SharedLists } from '../../src/admin/shared-lists.ts'
import { openDatabase } from '../../src/database/open.ts'
import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'
import { databasesOn } from '../database/fixtures/server-database.ts'
import {
  all,
  databaseConfig,
  openNew,
  type TestDatabase,
} from '../database/fixtures/test-database.ts'
import { type AnnounceFields, writeAnnounce } from '../fixtures/announce-request.ts'
import { startPostgres } from '../fixtures/database-servers.ts'
import { EngineNode, NODE_SETTINGS } from '../fixtures/engine-node.ts'
import { clientOf, hashOf, NOW } from '../fixtures/tracker-client.ts'

const WAIT_SECONDS = 60
const keyOf = (n: number) => String(n).repeat(40)
const idOf = (n: number) => `${n}50e8400-e29b-41d4-a716-446655440000`
const entry = (n: number) => {
  const totals = { uploaded: 0n, downloaded: 0n, completed: 0, updated: NOW, active: true }
  return { id: idOf(n), key: keyOf(n), ...totals }
}

const clock = { now: NOW }
const request = allocate(256)

type Node = Awaited<ReturnType<typeof startNode>>

/** A node without a network: swarms, users and lists on a database that others use too. */
async function startNode(t: Test, made: TestDatabase, index: number) {
  const engineNode = new EngineNode(index, 16 * 2 ** 20, 65_536, true, {
    ...NODE_SETTINGS,
    persistent: true,
    sharesDatabase: true,
    accounting: { ...NO_ACCOUNTING, suspiciousRate: 1e6 },
  })
  const { engine } = engineNode
  const config = databaseConfig(made)
  const database = await openDatabase(config.database, config.database_structure, 'hex', {
    countsDownloads: true,
    insertVacant: true,
  })
  t.teardown(() => database.close())
  const none = () => Promise.reject(new Error('not part of this test'))
  const options = {
    engine,
    torrentRules: {
      insertVacant: true,
      deleteRows: true,
      deleteSilent: false,
      updateCompleted: true,
      updatePeers: false,
      peersTimeout: 2700,
    },
    storeTorrents: true,
    chunkSize: 2,
    sessionTtl: 3600,
    shared: { waitSeconds: () => WAIT_SECONDS },
    log: createTestLog().log,
    nowSeconds: () => clock.now,
    stats: () => ({}) as never,
    metrics: none,
    overview: {
      version: '1.0.0',
      database: () => undefined,
      processes: () => [],
      nodes: () => [],
      clientOf: () => '',
    },
    isReady: () => true,
    certificates: { certificates: none, reloadCertificates: none },
    rtcTimeout: () => 120,
    reloadLists: none,
    onTorrentsChanged: () => undefined,
  }
  const administration = createAdministration({ ...options, database })
  const { accounts } = administration.users
  const shared = new SharedLists({
    engine,
    database,
    isStored: { whitelist: false, blacklist: false, keys: false, users: true },
    admin: administration.admin,
    local: {
      ...createAdministration({ ...options, database: undefined }).admin,
      ...administration.received,
    },
    readUsers: isNewer => administration.users.readAgain(isNewer),
  })
  await administration.load()
  return {
    database,
    engineNode,
    accounts,
    torrents: administration.torrents,
    shared,
    admin: shared.admin,
    announce(user: number, fields: Partial<AnnounceFields>) {
      const userKey = Buffer.from(keyOf(user), 'hex')
      const sent = { infoHash: hashOf(1), ...clientOf(user), left: 1, userKey, ...fields }
      writeAnnounce(request, sent)
      engineNode.announce(request, clock.now)
    },
    user: async (n: number) => (await shared.admin.users([keyOf(n)]))[0],
    isFlagged: async (n: number) => (await shared.admin.account(keyOf(n)))?.grewTooFast,
  }
}

/** Sends the announces of a node to the other one. */
function exchange(from: Node, to: Node): void {
  to.engineNode.receive(from.engineNode.flush(clock.now), clock.now)
}

/** The uploads of users in the database. */
async function uploaded({ database }: Node): Promise<number[]> {
  const rows = await all(database.users)
  return rows.sort((x, y) => (x.id < y.id ? -1 : 1)).map(row => Number(row.uploaded))
}

const downloads = async ({ database }: Node) =>
  (await all(database.torrents)).map(row => row.completed)

const server = await startPostgres(t)
const make = server && databasesOn('pgsql', server)

/** Two nodes on a new database; each applies the changes of the other one unless `cut` is set. */
async function startNodes(t: Test) {
  const made = (await make?.(t)) as TestDatabase
  await openNew(t, made)
  const [a, b] = await Promise.all([startNode(t, made, 0), startNode(t, made, 1)])
  const link = { cut: false, changes: [] as Change[] }
  const connect = (from: Node, to: Node) => {
    from.shared.publish = change => {
      // As the nodes send it.
      const sent = JSON.parse(JSON.stringify(change)) as Change
      link.changes.push(sent)
      if (!link.cut) to.shared.apply(sent).catch(error => t.fail(error))
    }
  }
  connect(a, b)
  connect(b, a)
  return { a, b, link, made }
}

/** Resolves once the user of a node has these fields, or does not exist if there are none. */
async function has(node: Node, n: number, wanted: object | undefined): Promise<void> {
  for (;;) {
    const found = await node.user(n)
    if (wanted === undefined ? !found : found && isMatch(found, wanted)) return
    await sleep(5)
  }
}

function isMatch(found: object, wanted: object): boolean {
  return Object.entries(wanted).every(([name, value]) => found[name as never] === value)
}

const skip = server ? false : 'PostgreSQL is not installed'

t.test('users and factors that one node changes are on the other', { skip }, async t => {
  const { a, b, link } = await startNodes(t)
  t.same(await a.admin.setUsers([entry(1), entry(2)]), ['added', 'added'])
  await has(b, 1, { id: idOf(1), uploaded: 0n })
  await b.admin.setUsers([{ ...entry(1), uploaded: 2n ** 60n + 1n, active: false }])
  await has(a, 1, { uploaded: 2n ** 60n + 1n, active: false })
  const factors = { scope: 'user', id: keyOf(2), upload: 2, download: 0, until: 0 } as const
  await a.admin.setFactors([factors])
  await has(b, 2, {})
  t.same((await b.admin.factors('', 10)).entries, [factors])
  await b.admin.removeFactors([{ scope: 'user', id: keyOf(2) }])
  t.same((await a.admin.factors('', 10)).entries, [])
  t.same(await b.admin.removeUsers([keyOf(1)]), ['deleted'])
  await has(a, 1, undefined)

  link.cut = true
  await a.admin.setUsers([{ ...entry(2), uploaded: 77n }, entry(3)])
  await b.admin.setFactors([factors])
  await b.shared.read()
  await a.shared.read()
  t.match(await b.user(2), { uploaded: 77n }, 'a missed change is read from the database')
  t.ok(await b.user(3))
  t.same((await a.admin.factors('', 10)).entries, [factors])
  await a.admin.clearUsers()
  await b.shared.read()
  t.notOk(await b.user(2), 'removed users, too')
})

t.test('changes that are malformed change nothing', { skip }, async t => {
  const { a } = await startNodes(t)
  const user = [keyOf(1), idOf(1), '0', '0', 0, NOW, 1]
  const broken = (at: number, value: unknown) => [
    ...user.slice(0, at),
    value,
    ...user.slice(at + 1),
  ]
  const changes = [
    { op: 'setUsers', args: [[broken(0, 'a b'.repeat(10))]] },
    { op: 'setUsers', args: [[broken(1, 'id')]] },
    { op: 'setUsers', args: [[broken(2, '-1')]] },
    { op: 'setUsers', args: [[broken(3, '1e3')]] },
    { op: 'setUsers', args: [[broken(4, -1)]] },
    { op: 'setUsers', args: [[broken(5, 0.5)]] },
    { op: 'setUsers', args: [[user.slice(1)]] },
    { op: 'setUsers', args: [[keyOf(1)]] },
    { op: 'setFactors', args: [[[keyOf(1), 'nobody', 1, 1, 0]]] },
    { op: 'setFactors', args: [[[1, 'user', 1, 1, 0]]] },
    { op: 'setFactors', args: [[[keyOf(1), 'user', 1, -1, 0]]] },
    { op: 'shutdown', args: [] },
    undefined,
  ]
  for (const change of changes) {
    await t.rejects(a.shared.apply(change), /malformed/, JSON.stringify(change))
  }
  t.notOk(await a.user(1))
  await a.shared.apply({ op: 'setUsers', args: [[user]] })
  t.match(await a.user(1), { id: idOf(1) }, 'the same without a fault is applied')
})

t.test('each node writes its clients, and those of a dead node later', { skip }, async t => {
  const { a, b } = await startNodes(t)
  await a.admin.setUsers([entry(1), entry(2)])
  await has(b, 2, {})
  for (const user of [1, 2]) a.announce(user, { uploaded: 1000 })
  clock.now += 100
  a.announce(1, { uploaded: 6000, left: 0, event: 1 })
  b.announce(2, { uploaded: 1000 })
  exchange(a, b)
  exchange(b, a)
  t.match(await b.user(1), { uploaded: 5000n, completed: 1 })

  for (const node of [a, b]) await node.torrents.flush()
  await b.accounts.flush()
  t.same(await downloads(b), [0], 'a download is not written without its session')
  t.same(await uploaded(b), [0, 0], 'the announce to a is left to a')
  clock.now += WAIT_SECONDS + 1
  await b.accounts.flush()
  t.same(await uploaded(b), [5000, 0], 'until a has had time to write it')
  t.equal(await a.accounts.flush(), 0, 'then a has nothing to add')
  t.same(await uploaded(a), [5000, 0])
  for (const node of [a, b]) await node.torrents.flush()
  t.same(await downloads(a), [1])
  await a.shared.read()
  for (const node of [a, b]) {
    t.match(await node.user(1), { uploaded: 5000n, completed: 1 })
    t.match(await node.user(2), { uploaded: 0n, completed: 0 })
  }

  // A node died before the others received its announce: the database knows more than memory.
  a.announce(1, { uploaded: 9000, left: 0 })
  a.engineNode.flush(clock.now)
  await a.accounts.flush()
  b.announce(1, { uploaded: 9000, left: 0 })
  t.match(await b.user(1), { uploaded: 8000n })
  b.announce(1, { uploaded: 9500, left: 0 })
  await b.accounts.flush()
  t.match(await b.user(1), { uploaded: 8500n })
  await a.shared.read()
  t.match(await a.user(1), { uploaded: 8500n }, 'the totals of the database are read')
})

t.test('flags that one node clears are cleared for all', { skip }, async t => {
  const { a, b, made } = await startNodes(t)
  await a.admin.setUsers([entry(1)])
  await has(b, 1, {})
  a.announce(1, { uploaded: 0 })
  clock.now += 100
  a.announce(1, { uploaded: 1e9 })
  exchange(a, b)
  await a.accounts.flush()
  for (const node of [a, b]) t.ok(await node.isFlagged(1), 'the growth is flagged')
  t.ok(await (await startNode(t, made, 2)).isFlagged(1), 'also on a node that starts')
  t.equal(await b.admin.clearFlags(keyOf(1)), true)
  for (const node of [a, b]) {
    while (await node.isFlagged(1)) await sleep(5)
  }
  clock.now += 100
  a.announce(1, { uploaded: 1e9 + 1 })
  exchange(a, b)
  await a.accounts.flush()
  const fresh = await startNode(t, made, 3)
  for (const node of [a, b, fresh]) t.equal(await node.isFlagged(1), false)
  t.match(await fresh.user(1), { uploaded: BigInt(1e9 + 1) })
})
