import t from 'tap'
import { setEntry } from '../../src/engine/access-tables.ts'
import { dropPeers } from '../../src/engine/leave.ts'
import { NO_LIMITS } from '../../src/engine/policy.ts'
import { createSweepCursor, sweepSlice } from '../../src/engine/sweep.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { totals } from '../../src/engine/totals.ts'
import { writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { Event } from '../../src/protocol/records.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  newEngine,
  SETTINGS,
  scrapeFrom,
  websocketClientOf,
} from '../fixtures/tracker-client.ts'

const infoHash = hashOf(1)
const NOW = 1_700_000_000
const NO_ACCESS = {
  keys: false,
  users: false,
  whitelist: false,
  blacklist: false,
  anonymousScrape: false,
}
const CLIENTS = [
  ['IPv4', clientOf(1)],
  ['IPv6', clientOf(1, 6)],
  ['WebSocket', websocketClientOf(1)],
] as const

const LIMITS = [
  ['a rate limit', { announcesPerAddress: 1, announcesBurst: 1 }, Failure.tooManyAnnounces],
  ['a client list', { clientBlacklist: ['-MU'] }, Failure.blacklistedClient],
  ['an allow list of clients', { clientWhitelist: ['-XX'] }, Failure.unlistedClient],
] as const

for (const [family, client] of CLIENTS) {
  for (const [name, limits, failure] of LIMITS) {
    t.test(`${name} refuses announces over ${family}, but not stopped`, async t => {
      const engine = newEngine()
      announceTo(engine, { infoHash, ...client }, NOW)
      const limited = newEngine(undefined, { ...SETTINGS, limits: { ...NO_LIMITS, ...limits } })
      const strict = { ...engine, limits: limited.limits }
      announceTo(strict, { infoHash, ...client }, NOW)
      t.equal(announceTo(strict, { infoHash, ...client }, NOW).failure, failure)
      const stop = { infoHash, ...client, event: Event.stopped }
      t.equal(announceTo(strict, stop, NOW).failure, Failure.none)
      t.equal(
        totals(engine).peers.reduce((sum, peers) => sum + peers),
        0,
      )
      checkTables(engine)
    })
  }

  t.test(`no list and no key refuses stopped over ${family}`, async t => {
    for (const rule of ['whitelist', 'keys', 'users'] as const) {
      const engine = newEngine()
      announceTo(engine, { infoHash, ...client, left: 0 }, NOW)
      engine.access.rules = { ...NO_ACCESS, [rule]: true }
      const stop = { infoHash, ...client, event: Event.stopped, port: 0 }
      const reply = announceTo(engine, stop, NOW)
      t.match(reply, { failure: Failure.none, seeders: 0, leechers: 0 }, rule)
      t.equal(
        totals(engine).peers.reduce((sum, peers) => sum + peers),
        0,
        rule,
      )
    }
  })
}

t.test('a client that may not announce learns nothing about the swarm from stopped', async t => {
  const engine = newEngine()
  for (let n = 2; n < 5; n++) announceTo(engine, { infoHash, ...clientOf(n), left: 0 }, NOW)
  engine.access.rules = { ...NO_ACCESS, keys: true }
  const reply = announceTo(engine, { infoHash, ...clientOf(1), event: Event.stopped }, NOW)
  t.match(reply, { failure: Failure.none, seeders: 0, leechers: 0, completed: 0 })
})

t.test('a refused completed counts when its client returns as a seeder', async t => {
  const settings = {
    ...SETTINGS,
    limits: { ...NO_LIMITS, announcesPerAddress: 1, announcesBurst: 1 },
  }
  for (const [family, client] of CLIENTS) {
    const engine = newEngine(undefined, settings)
    const say = (fields: object, seconds: number) =>
      announceTo(engine, { infoHash, ...client, ...fields }, NOW + seconds)
    say({ left: 5, event: Event.started }, 0)
    const refused = say({ left: 0, event: Event.completed }, 1)
    t.equal(refused.failure, Failure.tooManyAnnounces, family)
    t.match(say({ left: 0 }, 100), { completed: 1 }, family)
    t.match(say({ left: 0, event: Event.completed }, 200), { completed: 1 }, 'once')
  }
  const engine = newEngine(undefined, settings)
  announceTo(engine, { infoHash, ...clientOf(1), left: 5 }, NOW)
  const seeder = announceTo(engine, { infoHash, ...clientOf(1), left: 0 }, NOW + 100)
  t.match(seeder, { completed: 0 }, 'without a completed there is nothing to count')
})

t.test('a refused completed counts when its client stops as a seeder', async t => {
  const limits = { ...NO_LIMITS, announcesPerAddress: 1, announcesBurst: 1 }
  for (const users of [false, true]) {
    for (const [family, client] of CLIENTS) {
      const engine = newEngine(undefined, { ...SETTINGS, limits }, { users })
      const userKey = hashOf(7)
      const user = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
      setValue(engine.access.userKeys, bytesOf(userKey).view, 0, 1)
      writeUser(engine.access.users, 1, user)
      const say = (fields: object, seconds: number) =>
        announceTo(engine, { infoHash, ...client, userKey, ...fields }, NOW + seconds)
      say({ left: 5, event: Event.started }, 0)
      t.equal(say({ left: 0, event: Event.completed }, 1).failure, Failure.tooManyAnnounces)
      const name = `${family}${users ? ' of a user' : ''}`
      t.match(say({ left: 0, event: Event.stopped }, 2), { seeders: 0, completed: 1 }, name)
      t.match(say({ left: 0, event: Event.stopped }, 200), { completed: 1 }, 'once')
      say({ left: 5, event: Event.started }, 300)
      t.match(say({ left: 5, event: Event.stopped }, 301), { completed: 1 }, 'not a leecher')
      checkTables(engine)
    }
  }
})

t.test(
  'a delisted torrent is not scraped, and its peers leave at once or with a sweep',
  async t => {
    const engine = newEngine()
    for (const rule of ['whitelist', 'blacklist'] as const) {
      engine.access.rules = NO_ACCESS
      for (let n = 0; n < 3000; n++)
        announceTo(engine, { infoHash, ...clientOf(n), left: n % 2 }, NOW)
      announceTo(engine, { infoHash: hashOf(2), ...clientOf(1), left: 0 }, NOW)
      engine.access.rules = { ...NO_ACCESS, [rule]: true }
      const listed = rule === 'whitelist' ? hashOf(2) : infoHash
      setEntry(engine.access[rule], listed.toString('hex'), 0)
      const empty = { seeders: 0, leechers: 0, completed: 0 }
      t.same(scrapeFrom(engine, [infoHash]), [empty], rule)
      t.match(scrapeFrom(engine, [hashOf(2)]), [{ seeders: 1 }], rule)
      if (rule === 'whitelist') dropPeers(engine, infoHash)
      else {
        const cursor = createSweepCursor(0, 1)
        for (let n = 0; n < engine.stripeCount * 8; n++) sweepSlice(engine, cursor, NOW + 1)
      }
      t.equal(totals(engine).peers[0], 1, `${rule}: only the peer of the listed torrent is left`)
      checkTables(engine)
    }
  },
)
