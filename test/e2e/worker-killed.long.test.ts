import t from 'tap'
import { getBencoded, scrapeCounts } from '../fixtures/http-client.ts'
import { announceTarget, answers, startLoad } from '../fixtures/load.ts'
import { isAlive, startTracker } from '../fixtures/start-tracker.ts'
import { hashOf } from '../fixtures/tracker-client.ts'

const CONNECTIONS = 24
const TORRENTS = 5

t.test('a killed worker loses no peer, is replaced, and other workers continue', async t => {
  const tracker = await startTracker(t, { udp_server: [], frontend: { workers: 2 } })
  const url = tracker.url()
  const port = tracker.port('http', '127.0.0.1')
  for (let torrent = 0; torrent < TORRENTS; torrent++) {
    for (let n = 0; n < 20; n++) await getBencoded(url, announceTarget(1000 + n, torrent))
  }
  const load = await startLoad(port, CONNECTIONS, TORRENTS, 0)
  // After this, every client is in every torrent.
  while (load.least < TORRENTS) await new Promise(resolve => setImmediate(resolve))
  const countAll = async () => {
    const counts = []
    for (let torrent = 0; torrent < TORRENTS; torrent++)
      counts.push(await scrapeCounts(url, hashOf(torrent)))
    return counts
  }
  const before = await countAll()
  const victim = Number((await tracker.line(({ msg }) => msg === 'worker started'))['pid'])
  const lines = tracker.log.length
  process.kill(victim, 'SIGKILL')
  const died = await tracker.line(({ msg }) => msg === 'worker died', lines)
  const back = await tracker.line(({ msg }) => msg === 'worker started', lines)
  t.comment(`replaced ${back.time - died.time} ms after its death`)
  t.match(died, { pid: victim, reason: 'SIGKILL' })
  t.ok(isAlive(Number(back['pid'])))
  await answers(load, CONNECTIONS * 10)
  t.same(await countAll(), before, 'scrapes count what they counted')
  const reports = await load.stop()
  const broken = reports.filter(report => report.broken)
  t.ok(
    broken.length > 0 && broken.length < CONNECTIONS,
    `${broken.length} of ${CONNECTIONS} connections were the dead worker's`,
  )
  t.equal(
    reports.reduce((sum, { bad }) => sum + bad, 0),
    0,
    'no answer was a failure',
  )
  t.equal(await tracker.stop(), 0)
})
