import { setTimeout as sleep } from 'node:timers/promises'
import { startUdpGenerator } from '../../load/generators.ts'
import { Event, infoHashOf, type Mix } from '../../load/mix.ts'
import type { UdpClient } from '../../load/udp-client.ts'
import { quantile } from '../../measure.ts'
import { bySize, type Plan, type Run } from '../../scenario.ts'
import { type BenchNode, callApi, millisUntil, openClient } from './cluster.ts'

/** Peers whose way is measured at the same time. */
const PROBES = 4
const PAUSE_MILLIS_MAX = 40
/** Seconds until the load has its rate. */
const LOAD_DELAY_SECONDS = 1
/** Torrents that the load does not have. */
const FIRST_TORRENT = 50_000_000
const PORT = 50_123

function idOf(n: number): Buffer {
  return Buffer.from(`-XX0001-${String(n).padStart(12, '0')}`)
}

/** Announces a new peer to one node until a client of the other one is given it. */
async function probe(from: UdpClient, to: UdpClient, torrent: number): Promise<number> {
  const infoHash = infoHashOf(FIRST_TORRENT + torrent)
  const seeker = { infoHash, peerId: idOf(1), port: 50_124, left: 1, event: Event.none }
  const peer = { infoHash, peerId: idOf(2), port: PORT, left: 0, event: Event.started }
  const begun = performance.now()
  if (!(await from.announce(peer))) return Number.NaN
  await millisUntil(async () => {
    const peers = await to.peersOf(seeker)
    return peers.some(found => found.readUInt16BE(4) === PORT)
  }, 1)
  return performance.now() - begun
}

/**
 * Milliseconds from an announce to one node until a client of the other one is given that peer,
 * while the first node answers `rate` other announces per second.
 */
export async function measureLag(
  pair: readonly [BenchNode, BenchNode],
  plan: Plan,
  mix: Mix,
  rate: number,
): Promise<Run> {
  const seconds = bySize(plan, 10, 4, 0.5)
  const generator = startUdpGenerator({ port: pair[0].port, mix, rate })
  const load = generator.run(seconds + LOAD_DELAY_SECONDS)
  await sleep(LOAD_DELAY_SECONDS * 1000)
  const millis: number[] = []
  const end = performance.now() + seconds * 1000
  let torrents = 0
  await Promise.all(
    Array.from({ length: PROBES }, async () => {
      const [from, to] = await Promise.all([openClient(pair[0]), openClient(pair[1])])
      while (performance.now() < end) {
        millis.push(await probe(from, to, torrents++))
        // The pauses vary, so that no probe has the beat of the batches.
        await sleep(Math.random() * PAUSE_MILLIS_MAX)
      }
      from.close()
      to.close()
    }),
  )
  const { answered, errors, lost, seconds: took } = await load
  generator.stop()
  const found = millis.filter(Number.isFinite)
  return {
    perSecond: answered / took,
    p50: quantile(found, 0.5),
    p99: quantile(found, 0.99),
    failedRequests: lost + errors + millis.length - found.length,
  }
}

/** Milliseconds from a request to the API of one node until the other one shows the change. */
export async function measureAdminChanges(
  [a, b]: readonly [BenchNode, BenchNode],
  plan: Plan,
): Promise<Run> {
  const client = await openClient(b)
  const millis: number[] = []
  for (let n = 1; n <= bySize(plan, 100, 30, 5); n++) {
    const infoHash = infoHashOf(2 * FIRST_TORRENT + n)
    const begun = performance.now()
    const answer = await callApi(a, 'POST', `/api/torrent/${infoHash.toString('hex')}/${n}`)
    if (!answer.ok) throw new Error(`the API answers ${answer.status}: ${await answer.text()}`)
    await millisUntil(async () => (await client.scrape([infoHash])).readUInt32BE(4) === n, 1)
    millis.push(performance.now() - begun)
    await sleep(Math.random() * PAUSE_MILLIS_MAX)
  }
  client.close()
  return { p50: quantile(millis, 0.5), p99: quantile(millis, 0.99) }
}
