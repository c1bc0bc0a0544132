import t from 'tap'
import { WriteBehind } from '../../src/admin/write-behind.ts'
import { createTestLog } from '../app/fixtures/log-lines.ts'

/** A database that is unreachable until the test makes it reachable. */
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

t.test('a stop writes the remaining counts', async t => {
  const { database, flush } = switchable()
  database.isAway = false
  const { log } = createTestLog()
  const writeBehind = new WriteBehind(
    [flush],
    async () => {},
    () => 3600,
    () => 5,
    log,
  )
  t.equal(await writeBehind.stop(), true)
  t.equal(database.writes, 1)
  t.equal(writeBehind.writtenSeconds, 5)
})

t.test(
  'an unreachable database is reported once, retried, and reported when it is reachable',
  async t => {
    const { database, flush } = switchable()
    const { log, lines } = createTestLog()
    const writeBehind = new WriteBehind(
      [flush],
      async () => {},
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
  },
)

t.test('a stop while the database is unreachable reports the loss', async t => {
  const { flush } = switchable()
  const { log, lines } = createTestLog()
  const writeBehind = new WriteBehind(
    [flush],
    async () => {},
    () => 3600,
    () => 5,
    log,
  )
  t.equal(await writeBehind.stop(), false)
  t.match(lines.at(-1), { level: 50, msg: /^counters since the last write are lost/ })
})

t.test('a writer that fails does not keep the others from writing', async t => {
  const { flush } = switchable()
  const { log } = createTestLog()
  let written = 0
  const writeBehind = new WriteBehind(
    [flush, async () => ++written],
    async () => {},
    () => 3600,
    () => 5,
    log,
  )
  t.equal(await writeBehind.stop(), false)
  t.equal(written, 1)
})

t.test(
  'an unreachable database is detected without anything to write, and no count is lost',
  async t => {
    const { log } = createTestLog()
    const writeBehind = new WriteBehind(
      [async () => 0],
      () => Promise.reject(new Error('no answer')),
      () => 3600,
      () => 5,
      log,
    )
    t.equal(await writeBehind.stop(), true)
    t.equal(writeBehind.healthy, false)
  },
)
