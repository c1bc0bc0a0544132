import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { writeSnapshot } from '../../src/snapshot/write.ts'
import { announce, hex, startWithApi, TOKEN } from '../fixtures/admin-client.ts'
import { RawConnection } from '../fixtures/http-client.ts'
import { residentMib } from '../fixtures/resident-memory.ts'
import { type Tracker, temporaryFolder } from '../fixtures/start-tracker.ts'
import { fillTorrent, newTables } from '../snapshot/fixtures/swarms.ts'
import { threadsSettled } from './fixtures/settled-threads.ts'

const PEERS = 1_000_000
const LISTED = 100_000
/** Announces that must be answered while the other client does not read. */
const ANNOUNCES = 300
/** Memory in MiB for an unread answer: pages in flight and socket buffers, not the whole answer. */
const GROWTH_MIB_MAX = 64

/** A tracker with a snapshot of a million peers in torrent 0, and 100,000 torrents of one peer. */
async function startFull(t: Test) {
  const folder = temporaryFolder(t)
  const nowSeconds = Math.floor(Date.now() / 1000)
  const { engine, tables } = newTables(512 * 2 ** 20)
  fillTorrent(engine, 0, PEERS, 0, nowSeconds)
  for (let torrent = 1; torrent <= LISTED; torrent++) {
    fillTorrent(engine, torrent, 1, torrent, nowSeconds)
  }
  mkdirSync(join(folder, 'data'))
  await writeSnapshot({ tables, file: join(folder, 'data/swarm.snapshot'), nowSeconds })
  const started = await startWithApi(t, { frontend: { workers: 1 } }, folder)
  await started.tracker.line(({ msg }) => msg === 'swarms restored')
  await threadsSettled(started.tracker.pid)
  return started
}

/** Returns the head of an answer without reading its body. */
async function open(tracker: Tracker, path: string, body?: unknown): Promise<IncomingMessage> {
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const outgoing = request({
    port: tracker.port('api'),
    path,
    headers: {
      authorization: `Bearer ${TOKEN}`,
      ...(payload && { 'content-length': Buffer.byteLength(payload) }),
    },
  })
  outgoing.end(payload)
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  return incoming
}

/** Reads an answer to its end and counts its peers, without storing it. */
async function countPeers(incoming: IncomingMessage): Promise<{ peers: number; end: string }> {
  let peers = 0
  let end = ''
  for await (const chunk of incoming) {
    const text = end + (chunk as Buffer).toString('latin1')
    const whole = text.lastIndexOf('"peer_id"')
    for (let at = text.indexOf('"peer_id"'); at !== -1; at = text.indexOf('"peer_id"', at + 9)) {
      peers++
    }
    end = text.slice(whole === -1 ? -9 : whole + 9)
  }
  return { peers, end }
}

t.test('an answer of a million peers waits for a slow reader, and announces do not', async t => {
  const { tracker } = await startFull(t)
  const { pid: workerPid } = await tracker.line(({ msg }) => msg === 'worker started')
  const resident = () => residentMib(tracker.pid) + residentMib(Number(workerPid))
  const connection = await RawConnection.open(tracker.port('http', '127.0.0.1'))
  t.teardown(() => connection.destroy())
  let answered = 0
  const announceAgain = async () => {
    const answer = await connection.get(announce('/announce', answered++ % 2))
    if (!answer?.body.toString('latin1').startsWith('d8:complete')) t.fail('an announce failed')
  }

  const hashes = Array.from({ length: LISTED }, (_, n) => hex(n + 1))
  for (const [name, path, body, expected] of [
    ['one torrent', `/api/torrent/${hex(0)}`, undefined, PEERS],
    ['100,000 torrents', '/api/torrents', hashes, LISTED],
  ] as const) {
    for (let n = 0; n < ANNOUNCES; n++) await announceAgain()
    const before = resident()
    const incoming = await open(tracker, path, body)
    t.equal(incoming.headers['transfer-encoding'], 'chunked')
    for (let n = 0; n < ANNOUNCES; n++) await announceAgain()
    const grown = resident() - before
    // The answer is not much longer than the request body.
    const isBounded = grown < GROWTH_MIB_MAX || expected < PEERS
    t.ok(isBounded, `${name}: ${grown.toFixed(1)} MiB more while the client does not read`)

    let isRead = false
    const reading = countPeers(incoming).finally(() => {
      isRead = true
    })
    while (!isRead) {
      await announceAgain()
      await sleep(5)
    }
    const { peers, end } = await reading
    t.ok(peers >= expected && peers <= expected + 2, `${name}: ${peers} peers`)
    t.match(end, /\}$/)
  }
  t.pass(`${answered} announces were answered`)
  t.equal(await tracker.stop(), 0)
})
