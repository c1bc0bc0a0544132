import { randomBytes } from 'node:crypto'
import { NO_RULES } from '../../src/engine/access.ts'
import { setEntry } from '../../src/engine/access-tables.ts'
import { answer } from '../../src/engine/answer.ts'
import { createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { countSessions } from '../../src/engine/session-batch.ts'
import { createRandom, randomBelow } from '../../src/engine/tables/random.ts'
import { writeUser } from '../../src/engine/user-records.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import * as record from '../../src/protocol/records.ts'
import { nanosEach } from '../measure.ts'
import { bySize, createRows, type Scenario } from '../scenario.ts'
import { NOW, SETTINGS } from './clients.ts'

const NUMWANT = 50
const TORRENTS = 10_000
const WITHOUT = 'without users'

type Sizes = { readonly sessions: number; readonly users: number; readonly announces: number }

/** A tracker with users, each of whose clients seeds or downloads many torrents. */
function engineWith(users: boolean, sizes: Sizes, keys: readonly Buffer[]): Engine {
  const tables = createTables(2 ** 30, { ...NO_RULES, users }, sizes.sessions)
  const engine = openEngine(tables, SETTINGS)
  for (const [n, key] of keys.entries()) {
    const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
    writeUser(engine.access.users, n + 1, totals)
    setEntry(engine.access.userKeys, key.toString('hex'), n + 1)
  }
  return engine
}

/** Nanoseconds of processor time of an announce of a random session, whose counts grow. */
function announce(
  engine: Engine,
  hashes: readonly Buffer[],
  keys: readonly Buffer[],
  sizes: Sizes,
  fill: boolean,
): number {
  const count = fill ? sizes.sessions : sizes.announces
  const request = allocate(record.ANNOUNCE_BYTES)
  const reply = allocate(16_384)
  const random = createRandom(7)
  let counts = fill ? 0 : 1e6
  request.u8[record.KIND] = record.Kind.announce
  request.view.setUint16(record.PORT, 6881, true)
  request.view.setUint16(record.NUMWANT, NUMWANT, true)
  return nanosEach(count, () => {
    for (let n = 0; n < count; n++) {
      const session = fill ? n : randomBelow(random, sizes.sessions)
      const user = session % keys.length
      request.u8.set(
        hashes[(session + Math.floor(session / keys.length)) % TORRENTS] as Buffer,
        record.INFO_HASH,
      )
      request.u8.set(keys[user] as Buffer, record.USER_KEY)
      request.view.setUint32(record.PEER_ID + 16, user, true)
      request.view.setUint32(record.ADDRESS, 0x0a000000 + user)
      request.view.setUint32(record.LEFT, session % 10 < 7 ? 0 : 1, true)
      request.view.setUint32(record.UPLOADED, counts++, true)
      answer(engine, request, 0, reply, 0, NOW)
    }
  })
}

export const sessions: Scenario = {
  name: 'sessions',
  about: 'announces of users with 1M sessions, and the memory of a session',
  secondsMax: 180,
  async run(plan) {
    const sizes: Sizes = bySize(
      plan,
      { sessions: 1_000_000, users: 100_000, announces: 1_000_000 },
      { sessions: 200_000, users: 20_000, announces: 200_000 },
      { sessions: 5000, users: 500, announces: 5000 },
    )
    const hashes = Array.from({ length: TORRENTS }, () => randomBytes(20))
    const keys = Array.from({ length: sizes.users }, () => randomBytes(20))
    const open = engineWith(false, sizes, keys)
    const users = engineWith(true, sizes, keys)
    for (const engine of [open, users]) announce(engine, hashes, keys, sizes, true)
    const { sessions: remembered } = countSessions(users)
    const bytes = users.sessions.memory.byteLength / (users.sessions.records * 256)
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      rows.add(WITHOUT, { nanos: announce(open, hashes, keys, sizes, false) })
      rows.add(`${sizes.sessions} sessions`, {
        nanos: announce(users, hashes, keys, sizes, false),
      })
    }
    return {
      title: 'Announces of users',
      options: { ...sizes, remembered },
      rows: rows.rows,
      base: { name: WITHOUT, metric: 'nanos' },
      notes: [`${bytes.toFixed(0)} bytes per session, everything included.`],
    }
  },
}
