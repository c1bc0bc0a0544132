import t from 'tap'
import { NO_RULES } from '../../src/engine/access.ts'
import { NO_ACCOUNTING } from '../../src/engine/accounting.ts'
import { createTables, openEngine } from '../../src/engine/engine.ts'
import { EventKind, type EventLog, eventCounts, takeEvents } from '../../src/engine/event-log.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Event, Family } from '../../src/protocol/records.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const userKey = Buffer.alloc(20, 7)

/** A tracker with one user, number 3, and room for `events` events. */
function trackerWith(events: number, users = true) {
  const accounting = { ...NO_ACCOUNTING, suspiciousRate: 1_000_000 }
  const tables = createTables(64 * 2 ** 20, { ...NO_RULES, users }, 1000, events)
  const engine = openEngine(tables, { ...SETTINGS, accounting })
  const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
  writeUser(engine.access.users, 3, totals)
  setValue(engine.access.userKeys, bytesOf(userKey).view, 0, 3)
  return { engine, log: engine.events as EventLog }
}

t.test('the events of a client are in order and have its numbers', async t => {
  const { engine, log } = trackerWith(8)
  const fields = { infoHash: hashOf(1), ...clientOf(1), userKey, port: 6881 }
  announceTo(engine, { ...fields, event: Event.started, left: 500 })
  announceTo(engine, { ...fields, left: 400, uploaded: 30, downloaded: 100 }, NOW + 60)
  announceTo(engine, { ...fields, event: Event.completed, left: 0, downloaded: 500 }, NOW + 120)
  announceTo(engine, { ...fields, event: Event.completed, left: 0, downloaded: 500 }, NOW + 121)
  announceTo(engine, { ...fields, left: 0, uploaded: 2 ** 40, downloaded: 500 }, NOW + 180)
  announceTo(engine, { ...fields, event: Event.stopped, left: 0, uploaded: 2 ** 40 }, NOW + 240)
  const events = takeEvents(log, 100)
  t.same(
    events.map(({ kind, time }) => [kind, time - NOW]),
    [
      [EventKind.started, 0],
      [EventKind.completed, 120],
      [EventKind.flagged, 180],
      [EventKind.stopped, 240],
    ],
  )
  const [started, completed, flagged] = events
  t.same(started, {
    kind: EventKind.started,
    family: Family.ipv4,
    address: new Uint8Array(clientOf(1).address),
    port: 6881,
    time: NOW,
    user: 3,
    hash: Buffer.from(hashOf(1)).toString('hex'),
    peerId: Buffer.from(clientOf(1).peerId).toString('hex'),
    uploaded: 0,
    downloaded: 0,
    left: 500,
  })
  t.equal(completed?.downloaded, 500)
  t.equal(flagged?.uploaded, 2 ** 40)
  t.same(takeEvents(log, 100), [])
})

t.test('events of every address family, without users', async t => {
  const { engine, log } = trackerWith(8, false)
  for (const client of [clientOf(1, 4), clientOf(1, 6), websocketClientOf(1)]) {
    announceTo(engine, { infoHash: hashOf(1), ...client, event: Event.started, left: 1 })
  }
  const events = takeEvents(log, 100)
  t.same(
    events.map(({ family, user }) => [family, user]),
    [
      [Family.ipv4, 0],
      [Family.ipv6, 0],
      [Family.websocket, 0],
    ],
  )
  t.same(events[1]?.address, new Uint8Array(clientOf(1, 6).address))
  t.same(events[2]?.address, new Uint8Array(websocketClientOf(1).client))
})

t.test('a full log drops new events, counts them, and delays no announce', async t => {
  const { engine, log } = trackerWith(4)
  const start = (n: number) =>
    announceTo(engine, { infoHash: hashOf(n), ...clientOf(n), userKey, event: Event.started })
  for (let n = 0; n < 10; n++) t.equal(start(n).failure, 0)
  t.same(eventCounts(log), { dropped: 6, waiting: 4 })
  t.equal(takeEvents(log, 3).length, 3)
  for (let n = 10; n < 12; n++) start(n)
  t.same(
    takeEvents(log, 10).map(({ hash }) => hash),
    [3, 10, 11].map(n => Buffer.from(hashOf(n)).toString('hex')),
  )
  t.same(eventCounts(log), { dropped: 6, waiting: 0 })
})

t.test('refused announces cause no events', async t => {
  const { engine, log } = trackerWith(8)
  const fields = { infoHash: hashOf(1), ...clientOf(1), userKey: Buffer.alloc(20, 9) }
  announceTo(engine, { ...fields, event: Event.started })
  announceTo(engine, { ...fields, event: Event.stopped })
  t.same(takeEvents(log, 10), [])
  t.equal(newEngine().events, undefined, 'nothing is recorded by default')
})
