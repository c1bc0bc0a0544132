import t from 'tap'
import { announce, hex, startWithApi } from '../fixtures/admin-client.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import { temporaryFolder } from '../fixtures/start-tracker.ts'
import { startGentleLoad, testSqlite } from './fixtures/persistence.ts'

testSqlite()

t.test('kill -9 under load: the swarm of the last snapshot is restored', async t => {
  const folder = temporaryFolder(t)
  const config = {
    frontend: { workers: 1 },
    snapshot: { interval: 10 },
    log: { level: 'debug' },
    tracker_config: { request_interval: 60, request_interval_minimum: 60, peers_timeout: 100 },
  }
  const { tracker } = await startWithApi(t, config, folder)
  for (let n = 0; n < 50; n++) await getBencoded(tracker.url(), announce('/announce', n))
  const load = startGentleLoad(tracker.url())
  await load.answers(50)
  await tracker.line(({ msg }) => msg === 'snapshot written')
  await load.answers(20)
  process.kill(tracker.pid, 'SIGKILL')
  await tracker.ended
  await load.stop()
  const written = tracker.log.findLast(({ msg }) => msg === 'snapshot written')
  const second = await startWithApi(t, config, folder)
  const back = await second.tracker.line(({ msg }) => msg === 'swarms restored')
  t.same(back['torrents'], written?.['torrents'])
  t.same(back['peers'], written?.['peers'])
  t.ok(Number((back['peers'] as number[])[0]) >= 50)
  for (let n = 0; n < 50; n += 10) {
    t.match(await second.admin.call('GET', `/api/torrent/${hex(n)}`), { status: 200 })
  }
  t.equal(await second.tracker.stop(), 0)
})
