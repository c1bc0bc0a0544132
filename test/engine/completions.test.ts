import t from 'tap'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import { putTorrent } from '../../src/engine/stored-torrents.ts'
import { createCompletions, noteCompletion } from '../../src/engine/tables/completions.ts'
import { Event } from '../../src/protocol/records.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  newEngine,
  SETTINGS,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const NOW = 1_700_000_000
const DAY = 86_400

t.test('a download is counted once within a day', async t => {
  const table = new Int32Array(createCompletions())
  for (const hash of [1, -1, 0x7fff_ffff, 12_345_678]) {
    t.ok(noteCompletion(table, hash, NOW))
    t.notOk(noteCompletion(table, hash, NOW + DAY / 2))
    t.ok(noteCompletion(table, hash, NOW + DAY + 3600))
  }
})

t.test('completed counts once a day per peer id, address and torrent', async t => {
  const limits = { ...NO_LIMITS, completedOncePerDay: true }
  for (const client of [clientOf(1), clientOf(1, 6), websocketClientOf(1)]) {
    const engine = newEngine(undefined, { ...SETTINGS, limits })
    const say = (fields: object, seconds = 0) =>
      announceTo(engine, { infoHash: hashOf(1), ...client, ...fields }, NOW + seconds)
    const done = { left: 0, event: Event.completed }
    t.match(say(done), { completed: 1 })
    say({ left: 5 })
    t.match(say(done, 10), { completed: 1 }, 'turned back and forth')
    say({ event: Event.stopped }, 20)
    t.match(say(done, 30), { completed: 1 }, 'stopped and returned')
    t.match(say({ ...done, infoHash: hashOf(2) }, 40), { completed: 1 }, 'another torrent')
    t.match(say({ ...done, peerId: clientOf(7).peerId }, 50), { completed: 2 }, 'another id')
    say({ left: 5 }, DAY + 7200)
    t.match(say(done, DAY + 7300), { completed: 3 }, 'a day later')
  }
})

t.test('the downloads of a torrent stop at 2^32 - 1', async t => {
  const engine = newEngine()
  putTorrent(engine, hashOf(1), 2 ** 32 - 2, NOW)
  for (const n of [1, 2, 3]) {
    const done = { infoHash: hashOf(1), ...clientOf(n), left: 0, event: Event.completed }
    t.match(announceTo(engine, done, NOW), { seeders: n, completed: 2 ** 32 - 1 })
  }
})
