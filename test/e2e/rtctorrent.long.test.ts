import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import t from 'tap'
import { skipWithoutBrowser, startBrowser } from '../fixtures/browser.ts'
import { getBencoded, query } from '../fixtures/http-client.ts'
import { startTracker, type Tracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { leech, seed } from './fixtures/rtctorrent-page.ts'
import { clientPorts, workerOf } from './fixtures/worker-of-socket.ts'

const CONFIG = {
  tracker_config: { rtc_interval: 7, blacklist_enabled: false },
  http_server: [{ bind_address: '127.0.0.1:0', rtctorrent: true }, { bind_address: '[::1]:0' }],
}

/** Request target of an announce of client `n` for torrent 1, with parameters of RtcTorrent. */
function target(n: number, left: number, more: Record<string, string | number>): string {
  const { peerId, port } = clientOf(n)
  const fields = Object.entries(more).map(([name, value]) => [
    name,
    typeof value === 'string' ? encodeURIComponent(value) : value,
  ])
  const extra = Object.fromEntries(fields) as typeof more
  return `/announce${query({ info_hash: hashOf(1), peer_id: peerId, port, left, ...extra })}`
}

const LONG = `v=0\r\n${'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(160)}`

t.test('offers and answers pass through two workers', async t => {
  const tracker = await startTracker(t, { ...CONFIG, frontend: { workers: 2 } })
  const ask = (n: number, left: number, more: Record<string, string | number> = {}) =>
    getBencoded(tracker.url(), target(n, left, { rtctorrent: 1, ...more }))
  t.match(await ask(1, 0, { rtcoffer: LONG }), {
    complete: 1,
    incomplete: 0,
    'rtc interval': 7,
    rtc_answers: [],
    rtc_peers: [],
  })
  const { rtc_peers: offers } = await ask(2, 5, { rtcrequest: 1 })
  t.same(offers, [{ peer_id: clientOf(1).peerId, sdp_offer: Buffer.from(LONG) }])
  const seeder = clientOf(1).peerId.toString('hex')
  const answers = Array.from({ length: 20 }, (_, n) => `answer ${n} ü`)
  // Each request has a connection of its own, which the kernel gives to either worker.
  await Promise.all(
    answers.map((answer, n) => ask(10 + n, 5, { rtcanswer: answer, rtcanswerfor: seeder })),
  )
  const { rtc_answers: found } = await ask(1, 0, { rtcoffer: LONG })
  const texts = (found as { peer_id: Buffer; sdp_answer: Buffer }[]).map(
    ({ peer_id, sdp_answer }) =>
      `${Buffer.from(peer_id).toString('hex')} ${Buffer.from(sdp_answer)}`,
  )
  t.same(
    texts.sort(),
    answers.map((answer, n) => `${clientOf(10 + n).peerId.toString('hex')} ${answer}`).sort(),
  )
  t.same((await ask(1, 0))['rtc_answers'], [], 'each answer is delivered once')
  const ordinary = await getBencoded(tracker.url(), target(50, 5, {}))
  t.match(ordinary, { complete: 0, incomplete: 1 }, 'they are not peers of other clients')
  t.match(await getBencoded(tracker.url(6), target(1, 0, { rtctorrent: 1 })), {
    'failure reason': Buffer.from('rtctorrent not enabled'),
  })
  t.same(await ask(1, 0, { event: 'stopped' }), {
    complete: 0,
    incomplete: 0,
    'rtc interval': 7,
    rtc_answers: [],
    rtc_peers: [],
  })
  t.same((await ask(2, 5, { rtcrequest: 1 }))['rtc_peers'], [], 'a stopped seeder has no offer')
  t.equal(await tracker.stop(), 0)
})

t.test('lists refuse RtcTorrent clients, too', async t => {
  const tracker = await startTracker(t, { ...CONFIG, tracker_config: { whitelist_enabled: true } })
  t.match(await getBencoded(tracker.url(), target(1, 0, { rtctorrent: 1, rtcoffer: 'x' })), {
    'failure reason': Buffer.from('unregistered torrent'),
  })
  t.equal(await tracker.stop(), 0)
})

t.test('an RtcTorrent client needs no key to stop, and one to announce', async t => {
  const tracker = await startTracker(t, {
    ...CONFIG,
    tracker_config: { rtc_interval: 7, keys_enabled: true },
  })
  const ask = (more: Record<string, string | number>) =>
    getBencoded(tracker.url(), target(1, 0, { rtctorrent: 1, ...more }))
  t.match(await ask({ rtcoffer: 'x' }), { 'failure reason': Buffer.from('missing key') })
  t.match(await ask({ event: 'stopped' }), { complete: 0, 'rtc interval': 7 })
  t.equal(await tracker.stop(), 0)
})

/** Opens pages until one is served by another worker than `other`. */
async function openOn(tracker: Tracker, open: () => Promise<Page>, other?: number) {
  for (;;) {
    const page = await open()
    const before = new Set(clientPorts(tracker))
    await page.evaluate(url => fetch(url).then(answer => answer.text()), `${tracker.url()}/health`)
    const port = clientPorts(tracker).find(found => !before.has(found))
    const worker = port === undefined ? undefined : workerOf(tracker, port)
    if (worker !== undefined && worker !== other) return { page, worker }
    await page.close()
  }
}

const skip = skipWithoutBrowser
t.test('two browsers on two workers exchange data by RtcTorrent', { skip }, async t => {
  const tracker = await startTracker(t, { ...CONFIG, frontend: { workers: 2 } })
  const browser = await startBrowser(t, [
    '--allow-loopback-in-peer-connection',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
  ])
  const open = async () => (await browser.newContext()).newPage()
  const seeder = await openOn(tracker, open)
  const leecher = await openOn(tracker, open, seeder.worker)
  t.not(seeder.worker, leecher.worker)
  const url = (n: number, left: number) => `${tracker.url()}${target(n, left, { rtctorrent: 1 })}`
  await seed(seeder.page, url(1, 0))
  const bytes = [...randomBytes(5000)]
  const id = clientOf(1).peerId.toString('hex')
  const received = await leech(leecher.page, url(2, 1), id, bytes)
  t.same(received, bytes.reverse(), 'over the data channel')
  t.equal(await tracker.stop(), 0)
})
