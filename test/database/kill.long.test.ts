import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { testSeed } from '../fixtures/seed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { hash } from './fixtures/rows.ts'
import { sqliteDatabase } from './fixtures/sqlite-database.ts'
import { all, open } from './fixtures/test-database.ts'

const CHILD = fileURLToPath(new URL('./fixtures/saving-process.js', import.meta.url))
const ROUNDS = 25
const ROWS_PER_SAVE = 10

/**
 * Lets a process save from `first` on, ends it with kill -9 after `count` acknowledged saves, and
 * gives the last acknowledged number.
 */
function saveUntilKilled(path: string, first: number, count: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = first - 1
  if (count === 0) setImmediate(() => child.kill('SIGKILL'))
  createInterface({ input: child.stdout }).on('line', line => {
    last = Number(line)
    if (last - first + 1 >= count) child.kill('SIGKILL')
  })
  return new Promise(resolve => child.once('close', () => resolve(last)))
}

t.test('a process that is killed at any point loses no acknowledged change', async t => {
  const seed = testSeed(t)
  const below = seededRandom(seed)
  const database = await sqliteDatabase(t)
  let acknowledged = -1
  for (let round = 0; round < ROUNDS; round++) {
    const count = below(4) === 0 ? below(2) : below(60)
    acknowledged = await saveUntilKilled(database.path, acknowledged + 1, count)
    const db = await open(t, database)
    await db.createTables()
    await db.checkTables()
    const [check] = await database.run('pragma integrity_check')
    t.equal(check?.['integrity_check'], 'ok', `round ${round}`)

    const listed = new Set((await all(db.whitelist)).map(row => row.hash))
    const expected = (acknowledged + 1) * ROWS_PER_SAVE
    const missing = Array.from({ length: expected }, (_, n) => hash(n)).filter(h => !listed.has(h))
    t.same(missing, [], `round ${round}: ${expected} rows acknowledged`)
    t.equal(listed.size % ROWS_PER_SAVE, 0, 'each save is there whole or not at all')

    const newest = Math.max(-1, ...(await all(db.torrents)).map(row => row.completed))
    t.ok(newest >= acknowledged, 'the newest torrents are there')
    const users = await all(db.users)
    t.ok(users.length <= 2, 'a user who got another key is one user')
    t.ok(
      Math.max(-1, ...users.map(row => Number(row.uploaded))) >= acknowledged,
      'the newest user is there',
    )
    // An unacknowledged save may be stored as well; the next process repeats it.
    await db.close()
  }
  t.ok(acknowledged > ROUNDS, `${acknowledged} saves acknowledged`)
})
