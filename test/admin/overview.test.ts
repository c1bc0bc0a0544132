import t from 'tap'
import type { Stats } from '../../src/admin/admin.ts'
import { OverviewReader, type OverviewSources } from '../../src/admin/overview.ts'
import { Torrents } from '../../src/admin/torrents.ts'
import { announceTo, clientOf, hashOf, newEngine, SETTINGS } from '../fixtures/tracker-client.ts'

const hex = (n: number) => hashOf(n).toString('hex')

/** An overview of an engine of its own, with a clock that stands until it is set. */
function overviewOf(overrides: Partial<OverviewSources> = {}) {
  const engine = newEngine()
  const clock = { now: 0 }
  const stats: Record<string, number> = {}
  const torrents = new Torrents(
    engine,
    undefined,
    {
      insertVacant: false,
      deleteRows: true,
      deleteSilent: false,
      updateCompleted: false,
      updatePeers: false,
      peersTimeout: SETTINGS.peersTimeout,
    },
    () => 0,
  )
  let scans = 0
  const overview = new OverviewReader({
    engine,
    torrents: {
      sample: (hash, count) => torrents.sample(hash, count),
      top(count) {
        scans++
        return torrents.top(count)
      },
    },
    version: '1.2.3',
    stats: () => stats as Stats,
    database: () => undefined,
    nodes: () => [],
    processes: () => [],
    clientOf: id => Buffer.from(id, 'hex').toString('latin1', 1, 3),
    now: () => clock.now,
    ...overrides,
  })
  return { engine, clock, stats, overview, scans: () => scans }
}

t.test('the history has the announces per second of each protocol, and the peers', async t => {
  const { clock, overview, stats } = overviewOf()
  Object.assign(stats, { udp4_announces_handled: 1000, seeds: 1, peers: 2 })
  overview.takeSample()
  clock.now = 2000
  Object.assign(stats, {
    udp4_announces_handled: 1100,
    udp6_announces_handled: 20,
    tcp4_announces_handled: 8,
    ws6_announces_handled: 4,
    seeds: 5,
    peers: 6,
  })
  overview.takeSample()
  t.same((await overview.read()).history, {
    http: [0, 4],
    udp: [0, 60],
    websocket: [0, 2],
    seeders: [1, 5],
    leechers: [2, 6],
  })
  t.equal(overview.announceRate, 66)
  for (let n = 0; n < 200; n++) {
    clock.now += 2000
    overview.takeSample()
  }
  const { history } = await overview.read()
  t.equal(history.udp.length, 150)
  t.equal(history.udp.at(-1), 0)
})

t.test('the replacement of a process causes no negative rate', async t => {
  const { clock, overview, stats } = overviewOf()
  stats['tcp4_announces_handled'] = 500
  overview.takeSample()
  clock.now = 2000
  stats['tcp4_announces_handled'] = 0
  overview.takeSample()
  t.same((await overview.read()).history.http, [0, 0])
})

t.test('the largest torrents and their clients are refreshed at intervals', async t => {
  const { clock, engine, overview, scans } = overviewOf()
  const join = (torrent: number, peers: number, client: string) => {
    for (let n = 0; n < peers; n++) {
      const peerId = Buffer.from(`-${client}0000-${String(n).padStart(12, '0')}`)
      announceTo(engine, { infoHash: hashOf(torrent), ...clientOf(n), peerId, left: n % 2 })
    }
  }
  join(1, 1500, 'qB')
  join(2, 500, 'TR')
  for (let n = 3; n < 40; n++) join(n, 1, 'UT')
  const [first, same] = await Promise.all([overview.read(), overview.read()])
  t.same(first.top, same.top)
  t.equal(scans(), 1, 'once for all who ask')
  t.equal(first.top.length, 20)
  t.match(first.top.slice(0, 2), [
    { hash: hex(1), seeders: 750, leechers: 750 },
    { hash: hex(2), seeders: 250, leechers: 250 },
  ])
  const [qB, TR] = first.clients
  const sampled = first.clients.reduce((sum, { peers }) => sum + peers, 0)
  t.ok(sampled >= 1000 && sampled < 1100, `${sampled} of 2037 peers were looked at`)
  t.ok(Math.abs((qB?.peers ?? 0) / sampled - 1500 / 2037) < 0.05, `${qB?.peers} of them qB`)
  t.ok(Math.abs((TR?.peers ?? 0) / sampled - 500 / 2037) < 0.05, `${TR?.peers} of them TR`)
  t.ok(first.memory.taken > 0 && first.memory.taken <= first.memory.reserved)

  join(3, 2000, 'UT')
  await overview.read()
  t.equal(scans(), 1, 'not yet')
  clock.now = 6000
  t.same((await overview.read()).top, first.top, 'a read does not wait for the next scan')
  t.equal(scans(), 2)
  let next = await overview.read()
  while (next.top[0]?.hash !== hex(3)) {
    await new Promise(resolve => setImmediate(resolve))
    next = await overview.read()
  }
  t.equal(scans(), 2)
})

t.test('a failed search is reported and retried', async t => {
  let failure: Error | undefined = new Error('no such table')
  const { overview } = overviewOf({
    torrents: {
      sample: () => [],
      top: () => (failure ? Promise.reject(failure) : Promise.resolve([])),
    },
  })
  await t.rejects(overview.read(), failure)
  failure = undefined
  t.same((await overview.read()).top, [])
})
