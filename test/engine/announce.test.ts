import t from 'tap'
import { totals } from '../../src/engine/totals.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { Event, Flag } from '../../src/protocol/records.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  compactOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  scrapeFrom,
} from '../fixtures/tracker-client.ts'

const infoHash = hashOf(1)

t.test('two clients find each other, and neither finds itself', async t => {
  const engine = newEngine()
  const seeder = { infoHash, ...clientOf(1), left: 0 }
  const leecher = { infoHash, ...clientOf(2), left: 100 }
  t.match(announceTo(engine, seeder), { seeders: 1, leechers: 0, ipv4: [] })
  t.match(announceTo(engine, leecher), { seeders: 1, leechers: 1, ipv4: [compactOf(seeder)] })
  t.match(announceTo(engine, seeder), { seeders: 1, leechers: 1, ipv4: [compactOf(leecher)] })
})

t.test('a seeder gets only leechers', async t => {
  const engine = newEngine()
  for (let n = 0; n < 30; n++)
    announceTo(engine, { infoHash, ...clientOf(n), left: n < 20 ? 0 : 1 })
  const leechers = new Set(Array.from({ length: 10 }, (_, n) => compactOf(clientOf(20 + n))))
  const { ipv4 } = announceTo(engine, { infoHash, ...clientOf(100), left: 0 })
  t.equal(ipv4.length, 10)
  t.ok(ipv4.every(peer => leechers.has(peer)))
})

t.test(
  'a leecher gets seeders first, then leechers, and some of each if there are enough',
  async t => {
    const engine = newEngine()
    for (let n = 0; n < 200; n++)
      announceTo(engine, { infoHash, ...clientOf(n), left: n < 100 ? 0 : 1 })
    const seeders = new Set(Array.from({ length: 100 }, (_, n) => compactOf(clientOf(n))))
    const { ipv4 } = announceTo(engine, { infoHash, ...clientOf(500), left: 1, numwant: 40 })
    t.equal(ipv4.length, 40)
    t.ok(ipv4.slice(0, 30).every(peer => seeders.has(peer)))
    t.notOk(ipv4.slice(30).some(peer => seeders.has(peer)))
  },
)

t.test(
  'a leecher that completes becomes a seeder and counts once, even if it repeats it',
  async t => {
    const engine = newEngine()
    const client = { infoHash, ...clientOf(1) }
    t.match(announceTo(engine, { ...client, left: 5, event: Event.started }), {
      leechers: 1,
      completed: 0,
    })
    const done = { ...client, left: 0, event: Event.completed }
    t.match(announceTo(engine, done), { seeders: 1, leechers: 0, completed: 1 })
    t.match(announceTo(engine, done), { seeders: 1, completed: 1 })
    t.match(announceTo(engine, { ...client, left: 5, event: Event.completed }), {
      seeders: 0,
      completed: 1,
    })
    t.equal(totals(engine).completed, 1)
  },
)

t.test('a `completed` counts though an announce with nothing left came before it', async t => {
  for (const first of [5, 0]) {
    const engine = newEngine()
    const client = { infoHash, ...clientOf(1) }
    announceTo(engine, { ...client, left: first, event: Event.started })
    t.match(announceTo(engine, { ...client, left: 0 }), { seeders: 1, completed: 0 })
    const done = { ...client, left: 0, event: Event.completed }
    t.match(announceTo(engine, done), { completed: 1 })
    announceTo(engine, { ...client, left: 0 })
    t.match(announceTo(engine, done), { completed: 1 })
    announceTo(engine, { ...client, left: 5 })
    t.match(announceTo(engine, done), { completed: 2 }, 'it lost data and has it again')
  }
})

t.test('a client that changes its port replaces itself', async t => {
  const engine = newEngine()
  for (const family of [4, 6] as const) {
    const client = { infoHash: hashOf(family), ...clientOf(1, family), left: 1 }
    announceTo(engine, client)
    t.match(announceTo(engine, { ...client, port: 7777 }), { leechers: 1 })
    const recipient = { infoHash: hashOf(family), ...clientOf(2, family), left: 1 }
    const { ipv4, ipv6 } = announceTo(engine, recipient)
    t.same([...ipv4, ...ipv6], [compactOf({ ...client, port: 7777 })])
  }
})

t.test(
  'a client cannot overwrite or remove a peer by claiming its id from another address',
  async t => {
    const engine = newEngine()
    const victim = { infoHash, ...clientOf(1), left: 1 }
    const thief = { ...victim, address: Buffer.from([10, 9, 9, 9]), port: 6666 }
    announceTo(engine, victim)
    t.match(announceTo(engine, thief), { leechers: 2 })
    announceTo(engine, { ...thief, event: Event.stopped })
    t.match(announceTo(engine, { ...thief, peerId: clientOf(2).peerId }), {
      ipv4: [compactOf(victim)],
    })
  },
)

t.test('a stopped client is removed, gets no peers, and may repeat stopped', async t => {
  const engine = newEngine()
  const client = { infoHash, ...clientOf(1), left: 1 }
  announceTo(engine, client)
  announceTo(engine, { infoHash, ...clientOf(2), left: 0 })
  for (let n = 0; n < 2; n++) {
    t.match(announceTo(engine, { ...client, event: Event.stopped }), {
      seeders: 1,
      leechers: 0,
      ipv4: [],
    })
  }
  t.match(announceTo(engine, { infoHash: hashOf(99), ...clientOf(1), event: Event.stopped }), {
    seeders: 0,
  })
  t.equal(totals(engine).torrents, 1, 'stopping on an unknown torrent makes none')
})

t.test('families are separate, counted together, and mixed for clients of both', async t => {
  const engine = newEngine()
  const four = { infoHash, ...clientOf(1, 4), left: 1 }
  const six = { infoHash, ...clientOf(2, 6), left: 1 }
  announceTo(engine, four)
  t.match(announceTo(engine, six), { leechers: 2, ipv4: [], ipv6: [] })
  const both = { infoHash, ...clientOf(3, 4), left: 1, flags: Flag.bothFamilies | Flag.peerIds }
  const reply = announceTo(engine, both)
  t.same(reply.ipv4, [compactOf(four)])
  t.same(reply.ipv6, [compactOf(six)])
  t.same(
    reply.peerIds,
    [four, six].map(({ peerId }) => peerId.toString('hex')),
  )
  announceTo(engine, { ...both, ...clientOf(3, 6), peerId: both.peerId })
  t.equal(announceTo(engine, both).ipv6.length, 1, 'and not given to itself by its other address')
})

t.test('numwant bounds an answer, and 0 asks for no peers', async t => {
  const engine = newEngine()
  for (let n = 0; n < 700; n++) announceTo(engine, { infoHash, ...clientOf(n), left: 1 })
  for (const numwant of [0, 1, 2, 50, 200, 698]) {
    const { ipv4 } = announceTo(engine, { infoHash, ...clientOf(699), left: 1, numwant })
    t.equal(new Set(ipv4).size, numwant, `${numwant} different peers`)
  }
  t.equal(
    announceTo(engine, { infoHash, ...clientOf(699), left: 1, numwant: 1000 }).ipv4.length,
    699,
  )
})

t.test('every peer of a list is handed out equally often', async t => {
  const engine = newEngine()
  const peers = 600
  const rounds = 12_000
  for (let n = 0; n < peers; n++) announceTo(engine, { infoHash, ...clientOf(n), left: 1 })
  const given = new Map<string, number>()
  for (let n = 0; n < rounds; n++) {
    for (const peer of announceTo(engine, {
      infoHash,
      ...clientOf(n % peers),
      left: 1,
      numwant: 25,
    }).ipv4) {
      given.set(peer, (given.get(peer) ?? 0) + 1)
    }
  }
  t.equal(given.size, peers)
  // 500 expected each; being handed out is near Poisson, so six standard deviations are 134.
  for (const [peer, count] of given) {
    if (Math.abs(count - 500) > 134) t.fail(`${peer} was handed out ${count} times`)
  }
})

t.test('the interval is the configured one plus jitter', async t => {
  const engine = newEngine()
  const seen = new Set<number>()
  for (let n = 0; n < 2000; n++) seen.add(announceTo(engine, { infoHash, ...clientOf(1) }).interval)
  t.ok(Math.min(...seen) >= 1800 && Math.max(...seen) <= 1980)
  t.ok(seen.size > 100)
})

t.test(
  'a scrape counts seeders, leechers and downloads of each torrent, in the order asked',
  async t => {
    const engine = newEngine()
    announceTo(engine, { infoHash, ...clientOf(1), left: 0, event: Event.completed })
    announceTo(engine, { infoHash, ...clientOf(2, 6), left: 3 })
    announceTo(engine, { infoHash: hashOf(2), ...clientOf(2), left: 3 })
    t.same(scrapeFrom(engine, [hashOf(2), hashOf(3), infoHash]), [
      { seeders: 0, completed: 0, leechers: 1 },
      { seeders: 0, completed: 0, leechers: 0 },
      { seeders: 1, completed: 1, leechers: 1 },
    ])
  },
)

t.test('uploaded, downloaded and left have 48 bits', async t => {
  const engine = newEngine()
  const max = 2 ** 48 - 1
  const client = { infoHash, ...clientOf(1), uploaded: max, downloaded: max - 1, left: 2 ** 47 + 3 }
  announceTo(engine, client)
  const [torrent] = checkTables(engine).values()
  t.match(
    [...(torrent?.peers.values() ?? [])],
    [{ uploaded: max, downloaded: max - 1, left: 2 ** 47 + 3 }],
  )
})

t.test(
  'full memory evicts the oldest peers of the stripe; without space, an announce fails',
  async t => {
    const engine = newEngine(2 ** 20, { ...SETTINGS, peersTimeout: 86_400 })
    const announces = 60_000
    for (let n = 0; n < announces; n++) {
      const reply = announceTo(
        engine,
        { infoHash: hashOf(n % 5000), ...clientOf(n), left: n % 2 },
        1_700_000_000 + n,
      )
      const isTold = reply.failure === Failure.outOfMemory
      if (reply.interval < 1800 && !isTold) t.fail('an announce without an answer')
    }
    const sum = totals(engine)
    t.ok(sum.evicted > 10_000, `${sum.evicted} evicted`)
    t.ok(sum.peers[0] > 5000, `${sum.peers[0]} peers left`)
    t.ok(sum.peers[0] + sum.evicted + sum.refused >= announces, 'each is there or counted')
    const found = [...checkTables(engine).values()].flatMap(({ peers }) => [...peers.values()])
    const oldest = Math.min(...found.map(({ seen }) => seen))
    t.ok(oldest > 1_700_000_000 + announces / 3, 'those left are of the younger ones')
  },
)

t.test('one huge swarm in full memory is still answered', async t => {
  const engine = newEngine(2 ** 20, { ...SETTINGS, peersTimeout: 86_400 })
  for (let n = 0; n < 40_000; n++)
    announceTo(engine, { infoHash, ...clientOf(n), left: 1 }, 1_700_000_000 + n)
  checkTables(engine)
  t.equal(
    announceTo(engine, { infoHash, ...clientOf(50_000), left: 1 }, 1_700_050_000).ipv4.length,
    50,
  )
})

for (const [name, peers] of [
  ['a small swarm', 40],
  ['a list with an index', 300],
  ['a list of segments', 1500],
] as const) {
  t.test(
    `a peer past the timeout is not handed out before the sweep removes it: ${name}`,
    async t => {
      const engine = newEngine()
      const client = { infoHash, ...clientOf(1), left: 1, numwant: 200 }
      // Half of the peers announce again, and the clock passes the timeout of the others.
      for (let n = 2; n < peers + 2; n++)
        announceTo(engine, { infoHash, ...clientOf(n), left: n % 3 })
      const again = NOW + SETTINGS.peersTimeout
      for (let n = 2; n < peers + 2; n += 2) {
        announceTo(engine, { infoHash, ...clientOf(n), left: n % 3 }, again)
      }
      const live = new Set<string>()
      for (let n = 2; n < peers + 2; n += 2) live.add(compactOf(clientOf(n)))
      const handedOut = new Set<string>()
      for (let n = 0; n < 50; n++) {
        for (const peer of announceTo(engine, client, again + 1).ipv4) handedOut.add(peer)
      }
      t.same(
        [...handedOut].filter(peer => !live.has(peer)),
        [],
      )
      t.ok(handedOut.size > live.size / 3, `${handedOut.size} of ${live.size} live peers`)
      checkTables(engine)
    },
  )
}
