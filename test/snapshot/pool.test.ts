import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { SnapshotPool } from '../../src/snapshot/pool.ts'
import { SnapshotError, SnapshotStopped } from '../../src/snapshot/report.ts'
import { checkTables } from '../fixtures/swarm-integrity.ts'
import { NOW, SETTINGS } from '../fixtures/tracker-client.ts'
import { fillTorrent, newTables } from './fixtures/swarms.ts'

t.test('a thread writes and restores snapshots, one job after the other', async t => {
  const pool = new SnapshotPool()
  t.teardown(() => pool.close())
  const file = join(t.testdir({}), 'swarms')
  const { tables, engine } = newTables()
  for (let torrent = 0; torrent < 100; torrent++) fillTorrent(engine, torrent, 30)
  const written = await pool.write({ tables, file, nowSeconds: NOW })
  t.match(written, { file, torrents: 100, peers: [2000, 1000] })

  // A write that is requested during a restore waits; otherwise it would write half of the swarms.
  const into = newTables()
  const [restored, again] = await Promise.all([
    pool.restore({ tables: into.tables, settings: SETTINGS, file, nowSeconds: NOW }),
    pool.write({ tables: into.tables, file, nowSeconds: NOW + 1 }),
  ])
  t.match(restored, { file, torrents: 100, peers: [2000, 1000], skipped: [] })
  t.match(again, { torrents: 100, peers: [2000, 1000] })
  t.same(checkTables(into.engine), checkTables(engine))
})

t.test('an error that an operator can fix is a SnapshotError', async t => {
  const pool = new SnapshotPool()
  t.teardown(() => pool.close())
  const file = join(t.testdir({}), 'nowhere', 'swarms')
  const error = await pool
    .write({ tables: newTables().tables, file, nowSeconds: NOW })
    .catch(error => error)
  t.ok(error instanceof SnapshotError && !(error instanceof SnapshotStopped))
  t.match(error.message, /cannot write the snapshot .*nowhere/)
})

t.test('a slow write ends its pauses after a signal to hurry', async t => {
  const pool = new SnapshotPool()
  t.teardown(() => pool.close())
  const folder = t.testdir({})
  const file = join(folder, 'swarms')
  const { tables, engine } = newTables()
  for (let torrent = 0; torrent < 100; torrent++) fillTorrent(engine, torrent, 30)
  // Without the signal it would pause for minutes.
  const written = pool.write({ tables, file, nowSeconds: NOW, share: 1e-6 })
  while (readdirSync(folder).length === 0) await sleep(5)
  pool.hurry()
  t.match(await written, { torrents: 100, peers: [2000, 1000] })
})

t.test('closing stops running and waiting jobs, and no lock stays held', async t => {
  const folder = t.testdir({})
  const file = join(folder, 'swarms')
  const { tables, engine } = newTables()
  for (let torrent = 0; torrent < 100; torrent++) fillTorrent(engine, torrent, 30)
  const pool = new SnapshotPool()
  await pool.write({ tables, file, nowSeconds: NOW })
  const into = newTables()
  const jobs: Promise<unknown>[] = [
    pool.write({ tables, file, nowSeconds: NOW + 1 }),
    pool.restore({ tables: into.tables, settings: SETTINGS, file, nowSeconds: NOW }),
  ]
  const closed = pool.close()
  for (const job of jobs) await t.rejects(job, new SnapshotStopped())
  await closed
  t.same(readdirSync(folder), ['swarms'])
  checkTables(engine)
  t.equal(checkTables(into.engine).size, 0)
  t.ok(existsSync(file))
  await t.rejects(pool.write({ tables, file, nowSeconds: NOW }), new SnapshotStopped())
  await pool.close()
})
