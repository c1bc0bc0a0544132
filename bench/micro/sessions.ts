import { NO_RULES } from '../../src/engine/access.ts'
import { answer } from '../../src/engine/answer.ts'
import { createTables, type Engine, openEngine } from '../../src/engine/engine.ts'
import { countSessions } from '../../src/engine/session-batch.ts'
import { bytesPerSession } from '../../src/engine/session-layout.ts'
import { setValue } from '../../src/engine/tables/hash-table.ts'
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

/**
 * Writes 20 bytes that follow from a number. They are computed, because reading them from a table
 * would cost cache misses that are not the tracker's.
 */
function writeBytes(view: DataView, at: number, number: number, salt: number): void {
  let word = Math.imul(number ^ salt, 0x9e3779b1)
  for (let n = 0; n < record.HASH_BYTES; n += 4) {
    word = (Math.imul(word ^ (word >>> 15), 0x85ebca6b) + number) | 0
    view.setInt32(at + n, word, true)
  }
}

const HASH_SALT = 1
const KEY_SALT = 2

/** The tables of a tracker, with users, each of whose clients seeds or downloads many torrents. */
function openTables(users: boolean, sizes: Sizes): { engine: Engine; bytes: number } {
  const tables = createTables(2 ** 30, { ...NO_RULES, users }, sizes.sessions)
  const engine = openEngine(tables, SETTINGS)
  const { view } = allocate(record.HASH_BYTES)
  for (let user = 0; user < sizes.users; user++) {
    const totals = { active: true, uploaded: 0n, downloaded: 0n, completed: 0, updated: 0 }
    writeUser(engine.access.users, user + 1, totals)
    writeBytes(view, 0, user, KEY_SALT)
    setValue(engine.access.userKeys, view, 0, user + 1)
  }
  return { engine, bytes: bytesPerSession(tables.sessions) }
}

/** Nanoseconds of processor time of an announce of a random session, whose counts grow. */
function announce(engine: Engine, sizes: Sizes, fill: boolean): number {
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
      const user = session % sizes.users
      const torrent = (session + Math.floor(session / sizes.users)) % TORRENTS
      writeBytes(request.view, record.INFO_HASH, torrent, HASH_SALT)
      writeBytes(request.view, record.USER_KEY, user, KEY_SALT)
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
    const { engine: open } = openTables(false, sizes)
    const { engine: users, bytes } = openTables(true, sizes)
    for (const engine of [open, users]) announce(engine, sizes, true)
    const { sessions: remembered } = countSessions(users)
    const rows = createRows()
    for (let round = 0; round < plan.runs; round++) {
      rows.add(WITHOUT, { nanos: announce(open, sizes, false) })
      rows.add(`${sizes.sessions} sessions`, {
        nanos: announce(users, sizes, false),
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
