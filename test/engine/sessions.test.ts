import t from 'tap'
import { NO_RULES } from '../../src/engine/access.ts'
import { createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import {
  countSessions,
  expireSessionsOf,
  SESSION_PARTITIONS,
  takeSessions,
} from '../../src/engine/session-batch.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
import { readUser, writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { Event } from '../../src/protocol/records.ts'
import { announceTo, clientOf, hashOf, NOW, SETTINGS } from '../fixtures/tracker-client.ts'

const USERS = 1500
/** The fewest partitions that a bank of records holds. */
const BANK_PARTITIONS = 16

const keyOf = (user: number) => Buffer.from(`user ${user}`.padEnd(20))

/** An engine with so many users, and memory for so many sessions. */
function engineFor(sessionsMax: number): Engine {
  const tables = createTables(64 * 2 ** 20, { ...NO_RULES, users: true }, sessionsMax)
  const engine = openEngine(tables, SETTINGS)
  const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
  for (let user = 1; user <= USERS; user++) {
    writeUser(engine.access.users, user, totals)
    setValue(engine.access.userKeys, bytesOf(keyOf(user)).view, 0, user)
  }
  return engine
}

// One bank of records, several, and as many as the configuration allows.
for (const sessionsMax of [1000, 10_000_000, 50_000_000]) {
  t.test(`a table for ${sessionsMax} sessions credits the users of all`, async t => {
    const engine = engineFor(sessionsMax)
    const say = (user: number, uploaded: number, more: object = {}, now = NOW) => {
      const client = { infoHash: hashOf(1), ...clientOf(user), userKey: keyOf(user) }
      announceTo(engine, { ...client, left: 0, uploaded, ...more }, now)
    }
    const partitions = Array.from({ length: SESSION_PARTITIONS }, (_, partition) => partition)
    const take = () => partitions.map(partition => takeSessions(engine, partition))
    for (let user = 1; user <= USERS; user++) say(user, 100)
    for (let user = 1; user <= USERS; user++) say(user, 100 + user, {}, NOW + 60)
    const wrong: number[] = []
    for (let user = 1; user <= USERS; user++) {
      if (readUser(engine.access.users, user).uploaded !== BigInt(user)) wrong.push(user)
    }
    t.same(wrong, [], 'all are credited with the growth of their own counts')
    t.equal(countSessions(engine).sessions, USERS)
    const taken = take()
    for (let first = 0; first < SESSION_PARTITIONS; first += BANK_PARTITIONS) {
      const inBank = taken.slice(first, first + BANK_PARTITIONS).flat()
      t.ok(inBank.length > 0, `partitions from ${first} on have sessions`)
      t.notOk(
        inBank.some(({ user, newUp, seeding, left }) => {
          return newUp !== user || seeding !== 60 || left !== 0
        }),
      )
    }
    for (let user = 1; user <= USERS; user++) {
      say(user, 100 + user, { event: Event.stopped }, NOW + 90)
    }
    take()
    for (const partition of partitions) expireSessionsOf(engine, partition, NOW + 91)
    t.equal(countSessions(engine).sessions, 0, 'all sessions can be removed')
  })
}
