import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { metricOf, startApiNode } from './fixtures/api-node.ts'
import { startNatsServers, withoutNats } from './fixtures/nats-server.ts'
import { announce, joined, scrape, until } from './fixtures/node.ts'

const TIMEOUT_SECONDS = 8
const config = {
  tracker_config: {
    request_interval: 3,
    request_interval_minimum: 1,
    peers_timeout: TIMEOUT_SECONDS,
    peers_cleanup_interval: 1,
  },
}

t.test('the owner of a peer decides when it times out', { skip: withoutNats }, async t => {
  const servers = (await startNatsServers(t, 1)).map(({ url }) => url)
  const start = (name: string) => startApiNode(t, { name, servers, config })
  const [a, b, c] = await Promise.all([start('a'), start('b'), start('c')])
  await Promise.all([a, b, c].map(({ tracker }) => joined(tracker, 2)))
  const infoHash = Buffer.alloc(20, 1)
  const stays = { infoHash, peerId: '-MU0100-000000000001', port: 1001 }
  const vanishes = { infoHash, peerId: '-MU0100-000000000002', port: 1002, left: 5 }
  await announce(a.tracker, vanishes)
  for (const { tracker } of [b, c]) {
    await until(async () => (await scrape(tracker, infoHash)).leechers === 1, 'it is known')
  }

  // Only every fourth of these is sent, which is more seldom than the timeout.
  let isOver = false
  let missing = 0
  const checked = (async () => {
    await announce(a.tracker, stays)
    await until(async () => (await scrape(b.tracker, infoHash)).seeders === 1, 'it is known')
    while (!isOver) {
      await announce(a.tracker, stays)
      for (let n = 0; n < 6; n++) {
        if ((await scrape(b.tracker, infoHash)).seeders !== 1) missing++
        await sleep(500)
      }
    }
  })()
  await until(
    async () => (await metricOf(a, 'muster_nodes_expiries_total')) === 1,
    'the first node has reported that a peer timed out',
  )
  for (const { tracker } of [b, c]) {
    await until(async () => (await scrape(tracker, infoHash)).leechers === 0, 'it is removed')
  }
  await until(
    async () => (await metricOf(a, 'muster_nodes_skipped_total')) > 6,
    'announces were left out',
  )
  for (const node of [b, c]) t.equal(await metricOf(node, 'muster_nodes_expiries_total'), 0)
  isOver = true
  await checked
  t.equal(missing, 0, 'the other node always had the peer')

  // The peers of a node that dies stay for the timeout, and those that move stay for good.
  const moves = { infoHash, peerId: '-MU0100-000000000003', port: 1003, left: 7 }
  await announce(a.tracker, moves)
  await announce(a.tracker, stays)
  for (const { tracker } of [b, c]) {
    await until(async () => (await scrape(tracker, infoHash)).leechers === 1, 'it is known')
  }
  process.kill(a.tracker.pid, 'SIGKILL')
  let isGone = false
  const moved = (async () => {
    while (!isGone) {
      await announce(b.tracker, moves)
      await sleep(3000)
    }
  })()
  await b.tracker.line(({ msg, node }) => msg.startsWith('a node is silent') && node === 'a')
  for (const { tracker } of [b, c]) {
    await until(async () => (await scrape(tracker, infoHash)).seeders === 0, 'it timed out')
    t.equal((await scrape(tracker, infoHash)).leechers, 1, 'the other one has moved')
  }
  isGone = true
  await moved
})
