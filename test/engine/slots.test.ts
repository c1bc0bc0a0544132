import t from 'tap'
import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { countSessions, SESSION_PARTITIONS, takeSessions } from '../../src/engine/session-batch.ts'
import { SIBLINGS_MAX } from '../../src/engine/sessions.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { downloadingOf, readUser, writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { Event } from '../../src/protocol/records.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const userKey = Buffer.alloc(20, 1)

/** A tracker with user 1, whose slots are bounded. */
function trackerWith(peersPerUser: number, downloadsPerUser: number) {
  const accounting = { ...NO_ACCOUNTING, peersPerUser, downloadsPerUser }
  const engine = newEngine(64 * 2 ** 20, { ...SETTINGS, accounting }, { users: true })
  const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
  writeUser(engine.access.users, 1, totals)
  setValue(engine.access.userKeys, bytesOf(userKey).view, 0, 1)
  const say = (torrent: number, peer: number, more: object = {}, now = NOW) =>
    announceTo(
      engine,
      { infoHash: hashOf(torrent), ...clientOf(peer), userKey, left: 9, ...more },
      now,
    )
  return { engine, say }
}

function sweepAll(engine: Engine, now: number): void {
  const cursor = createSweepCursor(0, 1)
  for (let stripe = 0; stripe < engine.stripeCount; ) if (sweepSlice(engine, cursor, now)) stripe++
}

t.test('the clients of a user in a torrent are limited, and a refused one is credited', async t => {
  const { engine, say } = trackerWith(2, 0)
  t.equal(say(1, 1).failure, Failure.none)
  t.equal(say(1, 2, { left: 0 }).failure, Failure.none)
  const third = say(1, 3)
  t.match(third, { failure: Failure.tooManyUserPeers, ipv4: [] })
  t.equal(say(2, 3).failure, Failure.none, 'another torrent')
  say(1, 3, { uploaded: 500 })
  t.equal(readUser(engine.access.users, 1).uploaded, 500n, 'the refused client is credited')
  t.equal(say(1, 1, { uploaded: 70 }).failure, Failure.none, 'a known peer may report')
  t.equal(say(1, 1, { uploaded: 80, event: Event.stopped }).failure, Failure.none)
  t.equal(readUser(engine.access.users, 1).uploaded, 580n)
  t.equal(say(1, 3).failure, Failure.none, 'the slot is free again')
})

t.test('the addresses of a client use one slot', async t => {
  const { say } = trackerWith(1, 1)
  const { peerId } = clientOf(1)
  for (const from of [clientOf(1, 4), clientOf(1, 6), websocketClientOf(1), clientOf(9, 4)]) {
    t.equal(say(1, 1, { ...from, peerId }).failure, Failure.none)
  }
  t.equal(say(1, 2).failure, Failure.tooManyUserPeers)
})

t.test('the concurrent downloads of a user are limited, and its seeds are not', async t => {
  const { engine, say } = trackerWith(0, 2)
  t.equal(say(1, 1).failure, Failure.none)
  t.equal(say(2, 1).failure, Failure.none)
  t.equal(say(2, 2).failure, Failure.none, 'another client in the same torrent')
  t.match(say(3, 1), { failure: Failure.tooManyDownloads, ipv4: [] })
  for (let torrent = 4; torrent < 9; torrent++) {
    t.equal(say(torrent, 1, { left: 0 }).failure, Failure.none)
  }
  say(3, 1, { downloaded: 100 })
  t.equal(readUser(engine.access.users, 1).downloaded, 100n)
  say(1, 1, { left: 0, event: Event.completed })
  t.equal(say(3, 1).failure, Failure.none, 'a download has ended')
  say(2, 1, { event: Event.stopped })
  t.equal(say(1, 5).failure, Failure.tooManyDownloads, 'client 2 still downloads torrent 2')
  sweepAll(engine, NOW + SETTINGS.peersTimeout + 10)
  t.equal(downloadingOf(engine.access.users, 1), 0, 'expired peers free their slots')
  t.equal(say(1, 5, {}, NOW + 9999).failure, Failure.none)
})

t.test('a limit that is off refuses no client', async t => {
  const { say } = trackerWith(0, 0)
  for (let peer = 0; peer < 200; peer++) t.equal(say(1, peer).failure, Failure.none)
})

t.test('changing peer ids occupy a bounded part of the table', async t => {
  const { engine, say } = trackerWith(3, 0)
  for (let peer = 0; peer < 500; peer++) {
    say(1, peer)
    say(1, peer, { event: Event.stopped })
    if (peer % 10 === 9) for (let n = 0; n < SESSION_PARTITIONS; n++) takeSessions(engine, n)
  }
  t.ok(countSessions(engine).sessions <= SIBLINGS_MAX + 10, 'unwritten sessions are not removed')
})

t.test('the downloads of a user agree with a plain count in any order', async t => {
  const { engine, say } = trackerWith(0, 0)
  const below = seededRandom(14)
  /** By torrent and peer: the addresses with their `left`. */
  const live = new Map<string, Map<number, boolean>>()
  for (let n = 0; n < 20_000; n++) {
    const [torrent, peer, address] = [below(8), below(4), below(4)]
    const { peerId } = clientOf(peer)
    const from = address % 2 === 0 ? clientOf(address, 4) : clientOf(address, 6)
    const session = `${torrent} ${peer}`
    const addresses = live.get(session) ?? new Map<number, boolean>()
    const isStop = below(4) === 0
    const isSeeder = below(3) === 0
    say(torrent, peer, {
      ...from,
      peerId,
      left: isSeeder ? 0 : 9,
      event: isStop ? Event.stopped : Event.none,
    })
    if (isStop) addresses.clear()
    else addresses.set(address, isSeeder)
    live.set(session, addresses)
    const torrents = new Set<string>()
    for (const [key, seeders] of live) {
      if (seeders.size > 0 && ![...seeders.values()].includes(true)) {
        torrents.add(key.split(' ')[0] as string)
      }
    }
    if (downloadingOf(engine.access.users, 1) !== torrents.size) {
      t.equal(downloadingOf(engine.access.users, 1), torrents.size, `after step ${n}`)
      return
    }
  }
  t.pass('20,000 steps')
})
