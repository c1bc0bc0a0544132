import t from 'tap'
import { startWriteBehind } from '../../src/admin/write-behind.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

/** A database that is away until it is told to be there. */
function switchable() {
  const database = { isAway: true, writes: 0, tries: 0 }
  const flush = async () => {
    database.tries++
    if (database.isAway) throw new Error('connection refused')
    database.writes++
    return 1
  }
  return { database, flush }
}

t.test('a stop writes what is left', async t => {
  const { database, flush } = switchable()
  database.isAway = false
  const { log } = createTestLog()
  const writeBehind = startWriteBehind(
    [flush],
    () => 3600,
    () => 5,
    log,
  )
  await writeBehind.stop()
  t.equal(database.writes, 1)
  t.equal(writeBehind.writtenSeconds, 5)
})

t.test('a database that goes away is told of once, tried again, and told of when back', async t => {
  const { database, flush } = switchable()
  const { log, lines } = createTestLog()
  const writeBehind = startWriteBehind(
    [flush],
    () => 0,
    () => 5,
    log,
  )
  while (writeBehind.failures < 2) await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(writeBehind.healthy, false)
  t.equal(lines.filter(({ level }) => level >= 50).length, 1, 'one line')
  database.isAway = false
  while (!writeBehind.healthy) await new Promise(resolve => setTimeout(resolve, 20))
  t.ok(lines.some(({ msg }) => msg === 'database is reachable again'))
  await writeBehind.stop()
})

t.test('a stop while the database is away says what that means', async t => {
  const { flush } = switchable()
  const { log, lines } = createTestLog()
  const writeBehind = startWriteBehind(
    [flush],
    () => 3600,
    () => 5,
    log,
  )
  await writeBehind.stop()
  t.match(lines.at(-1), { level: 50, msg: /^counts since the last write are lost/ })
})
