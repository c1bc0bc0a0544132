import t from 'tap'
import { setDead } from '../../src/engine/dead-workers.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { createLeaveCursor, leaveSlice } from '../../src/engine/leave.ts'
import { readPeers } from '../../src/engine/read-peers.ts'
import { totals } from '../../src/engine/totals.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { Event } from '../../src/protocol/records.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  compactOf,
  hashOf,
  leaveFrom,
  NOW,
  newEngine,
  SETTINGS,
  scrapeFrom,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

/**
 * Takes out the peers of gone workers, `threads` threads sharing the stripes, and returns how many
 * slices that took.
 */
function leaveAll(engine: Engine, threads = 1): number {
  let slices = 0
  for (let thread = 0; thread < threads; thread++) {
    const cursor = createLeaveCursor(thread, threads)
    do slices++
    while (!leaveSlice(engine, cursor))
  }
  return slices
}

t.test('WebSocket peers receive only WebSocket peers, and all count as one swarm', async t => {
  const engine = newEngine()
  const infoHash = hashOf(1)
  announceTo(engine, { infoHash, ...clientOf(1), left: 0 })
  announceTo(engine, { infoHash, ...clientOf(2, 6), left: 1 })
  announceTo(engine, { infoHash, ...websocketClientOf(3), left: 0 })
  const reply = announceTo(engine, { infoHash, ...websocketClientOf(4, 2), left: 1 })
  t.match(reply, { seeders: 2, leechers: 2, ipv4: [], ipv6: [] })
  t.same(reply.websocket, [compactOf(websocketClientOf(3))])
  t.same(reply.peerIds, [websocketClientOf(3).peerId.toString('hex')])
  t.match(announceTo(engine, { infoHash, ...clientOf(5), left: 1, flags: 2 }), {
    seeders: 2,
    leechers: 3,
    ipv4: [compactOf(clientOf(1))],
    ipv6: [compactOf(clientOf(2, 6))],
  })
  t.match(scrapeFrom(engine, [infoHash]), [{ seeders: 2, leechers: 3 }])
  t.match(totals(engine), { peers: [2, 1, 2], seeders: [1, 0, 1] })
  checkTables(engine)
})

t.test('a response to a seeder contains leechers, and never the client itself', async t => {
  const engine = newEngine()
  const infoHash = hashOf(1)
  for (let n = 0; n < 40; n++) {
    announceTo(engine, { infoHash, ...websocketClientOf(n), left: n % 2 })
  }
  const leechers = Array.from({ length: 20 }, (_, n) => compactOf(websocketClientOf(n * 2 + 1)))
  const toSeeder = announceTo(engine, { infoHash, ...websocketClientOf(0), left: 0, numwant: 50 })
  t.same(toSeeder.websocket.sort(), leechers.sort())
  const toLeecher = announceTo(engine, { infoHash, ...websocketClientOf(1), left: 1, numwant: 50 })
  t.equal(toLeecher.websocket.length, 39)
  t.notOk(toLeecher.websocket.includes(compactOf(websocketClientOf(1))))
})

t.test('the API shows the address of a WebSocket client without a port', async t => {
  const engine = newEngine()
  const infoHash = hashOf(1)
  announceTo(engine, { infoHash, ...websocketClientOf(7), left: 3 })
  const ipv6 = { ...websocketClientOf(8), client: clientOf(8, 6).address }
  announceTo(engine, { infoHash, ...ipv6, left: 0, uploaded: 5 })
  const { peers } = readPeers(engine, infoHash, 0, 10)
  t.match(peers, [
    { address: clientOf(8, 6).address, port: 0, left: 0, uploaded: 5, seen: NOW },
    { address: clientOf(7).address, port: 0, left: 3 },
  ])
})

t.test('a closed connection removes its peer, even if the client may not announce', async t => {
  const rules = { keys: true, users: false, whitelist: false, blacklist: false }
  const open = newEngine()
  const engine = { ...open, access: { ...open.access, rules } }
  const infoHash = hashOf(1)
  announceTo(open, { infoHash, ...websocketClientOf(1), left: 1 })
  announceTo(open, { infoHash, ...websocketClientOf(2), left: 1 })
  const stop = { infoHash, ...websocketClientOf(1), event: Event.stopped }
  t.equal(announceTo(engine, { ...stop, event: Event.none }).failure, Failure.unknownKey)
  t.equal(totals(engine).peers[2], 2)
  leaveFrom(engine, { infoHash, ...websocketClientOf(1) })
  leaveFrom(engine, { infoHash, ...websocketClientOf(1) })
  leaveFrom(engine, { infoHash, ...websocketClientOf(2, 9) })
  leaveFrom(engine, { infoHash: hashOf(2), ...websocketClientOf(2) })
  t.equal(totals(engine).peers[2], 1)
  checkTables(engine)
})

t.test('a dead worker loses its own peers and no others', async t => {
  const engine = newEngine(256 * 2 ** 20)
  const rest = (n: number) => ({ infoHash: hashOf(n % 3000), left: n % 2 })
  for (let n = 0; n < 9000; n++) {
    announceTo(engine, { ...rest(n), ...clientOf(n, n % 2 ? 4 : 6) })
    announceTo(engine, { ...rest(n), ...websocketClientOf(n, 1 + (n % 3)) })
  }
  // One torrent has more than an index or a slice holds.
  const infoHash = hashOf(100_000)
  for (let n = 0; n < 6000; n++) {
    announceTo(engine, { infoHash, ...websocketClientOf(n, 1 + (n % 2)), left: n % 3 })
  }
  t.same(totals(engine).peers, [4500, 4500, 15_000])
  setDead(engine.deadWorkers, 2, true)
  const slices = leaveAll(engine, 3)
  t.ok(slices > engine.stripeCount + 10, `${slices} slices`)
  t.same(totals(engine).peers, [4500, 4500, 9000])
  for (const { peers } of checkTables(engine).values()) {
    for (const { address } of peers.values()) {
      if (address.length === 16 && address.startsWith('02000000')) t.fail(address)
    }
  }
  announceTo(engine, { infoHash, ...websocketClientOf(77_777, 2), left: 1 })
  t.equal(
    totals(engine).peers[2],
    9000,
    'late announces of the dead worker do not restore its peers',
  )
  setDead(engine.deadWorkers, 2, false)
  announceTo(engine, { infoHash, ...websocketClientOf(77_777, 2), left: 1 })
  t.equal(totals(engine).peers[2], 9001, 'the number may be given again')
})

t.test('announces between two slices hide no peer of a dead worker', async t => {
  const engine = newEngine(64 * 2 ** 20, { ...SETTINGS, notePeers: true })
  for (let n = 0; n < 20_000; n++) {
    announceTo(engine, {
      infoHash: hashOf(n % 5),
      ...websocketClientOf(n, 1 + (n % 2)),
      left: n % 2,
    })
  }
  setDead(engine.deadWorkers, 1, true)
  const cursor = createLeaveCursor(0, 1)
  let n = 0
  while (!leaveSlice(engine, cursor)) {
    for (let more = 0; more < 5; more++, n++) {
      const torrent = n % 40
      const event = n % 3 === 0 ? Event.stopped : Event.none
      const client = websocketClientOf((n * 7919) % 20_000, 2)
      announceTo(engine, { infoHash: hashOf(torrent), ...client, left: n % 2, event })
    }
  }
  for (const { peers } of checkTables(engine).values()) {
    for (const { address } of peers.values()) if (address.startsWith('01')) t.fail('still there')
  }
})
