import t from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { type HashTable, removeValue, setValue } from '../../src/engine/tables/hash-table.ts'
import { writeUser } from '../../src/engine/user-records.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { failureText } from '../../src/protocol/failures.ts'
import type { AnnounceFields } from '../fixtures/announce-request.ts'
import {
  announceTo,
  clientOf,
  hashOf,
  NOW,
  newEngine,
  SETTINGS,
} from '../fixtures/tracker-client.ts'

const client = { infoHash: hashOf(1), ...clientOf(1) }

function enter(table: HashTable, key: Uint8Array, value = 0): void {
  setValue(table, bytesOf(key).view, 0, value)
}

function why(engine: Engine, fields: Partial<AnnounceFields> = {}, now = NOW): string {
  const { failure } = announceTo(engine, { ...client, ...fields }, now)
  return failure ? failureText(failure) : ''
}

t.test('with a whitelist, only its torrents can be announced', async t => {
  const engine = newEngine(undefined, SETTINGS, { whitelist: true })
  t.equal(why(engine), 'unregistered torrent')
  enter(engine.access.whitelist, hashOf(1))
  t.equal(why(engine), '')
  t.equal(why(engine, { infoHash: hashOf(2) }), 'unregistered torrent')
  removeValue(engine.access.whitelist, bytesOf(hashOf(1)).view, 0)
  t.equal(why(engine), 'unregistered torrent')
})

t.test('with a blacklist, its torrents cannot be announced', async t => {
  const engine = newEngine(undefined, SETTINGS, { blacklist: true })
  t.equal(why(engine), '')
  enter(engine.access.blacklist, hashOf(1))
  t.equal(why(engine), 'unregistered torrent (blacklisted)')
  t.equal(why(engine, { infoHash: hashOf(2) }), '')
})

t.test('a key is valid until the second at which it expires, by the system clock', async t => {
  const engine = newEngine(undefined, SETTINGS, { keys: true })
  const [lasting, ending] = [Buffer.alloc(20, 1), Buffer.alloc(20, 2)]
  enter(engine.access.keys, lasting, 0)
  enter(engine.access.keys, ending, NOW + 10)
  t.equal(why(engine, { key: lasting }), '')
  t.equal(why(engine, { key: Buffer.alloc(20, 3) }), 'invalid or expired key')
  engine.access.realSeconds = () => NOW + 9
  t.equal(why(engine, { key: ending }), '')
  engine.access.realSeconds = () => NOW + 10
  t.equal(why(engine, { key: ending }), 'invalid or expired key')
})

t.test('a user must exist and be active', async t => {
  const engine = newEngine(undefined, SETTINGS, { users: true })
  const userKey = Buffer.alloc(20, 7)
  t.equal(why(engine, { userKey }), 'invalid user key')
  enter(engine.access.userKeys, userKey, 3)
  t.equal(why(engine, { userKey }), 'user is not active')
  const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
  writeUser(engine.access.users, 3, totals)
  t.equal(why(engine, { userKey }), '')
  writeUser(engine.access.users, 3, { ...totals, active: false })
  t.equal(why(engine, { userKey }), 'user is not active')
})

t.test('a refused announce does not change the swarm', async t => {
  const engine = newEngine(undefined, SETTINGS, { blacklist: true })
  enter(engine.access.blacklist, hashOf(1))
  why(engine)
  removeValue(engine.access.blacklist, bytesOf(hashOf(1)).view, 0)
  t.match(announceTo(engine, { ...client, ...clientOf(2) }), { leechers: 0, seeders: 1 })
})
