import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { UdpCounter } from '../../../src/counters/udp.ts'
import { createTables } from '../../../src/engine/engine.ts'
import { Family, type IpFamily } from '../../../src/protocol/records.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { createKnownSwarms, type KnownRequest } from './fixtures/known-swarms.ts'
import { listenMmsg } from './fixtures/listeners.ts'
import { connectPacket } from './fixtures/packets.ts'
import { type Sender, senderFor } from './fixtures/sender.ts'

/** A minute of traffic; a longer one looks for what is rarer. */
const SECONDS = Number(process.env['TRAFFIC_SECONDS'] ?? 60)
const BURST = 100
/** Between two bursts, so that other tests have the processors too. */
const PAUSE_MILLIS = 30
/** No divisor of a batch: the collections come at all places of batches. */
const COLLECT_EVERY = 97
const CONNECT_SECONDS = 60
/** Of BLOCK_MILLIS_MAX each. */
const WAITS_MAX = 80

t.setTimeout((SECONDS + 60) * 1000)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Sends `packets` and hands over as many replies, waiting for all of them. */
function exchange(sender: Sender, packets: readonly Buffer[], read: (reply: Buffer) => void): void {
  for (const packet of packets) sender.add(packet)
  if (sender.flush() !== packets.length) throw new Error('not all were sent')
  let replies = 0
  for (let waits = 0; replies < packets.length; waits++) {
    if (waits === WAITS_MAX) throw new Error(`${packets.length - replies} replies did not come`)
    const came = sender.wait(read)
    replies += came
    if (came > 0) waits = 0
  }
}

/** A udp thread that collects all the time, and clients of it whose replies are checked. */
async function startTraffic(t: Test, family: IpFamily, random: (bound: number) => number) {
  const host = family === Family.ipv4 ? '127.0.0.1' : '::1'
  const collections = new Int32Array(new SharedArrayBuffer(4))
  const tables = createTables(64 * 2 ** 20)
  const options = { batchSize: 64, collectEvery: COLLECT_EVERY, collections, tables }
  const listener = await listenMmsg(t, host, options)
  const sender = senderFor(t, host, listener.port, BURST)
  const swarms = createKnownSwarms(family, random)
  const faults: string[] = []
  let id: Buffer = Buffer.alloc(8)
  let idAt = 0
  let transactionId = 0

  function connect(): void {
    exchange(sender, [connectPacket(1)], reply => {
      id = Buffer.from(reply.subarray(8))
    })
    idAt = performance.now()
  }

  connect()
  const announces = swarms.fill(id)
  for (let n = 0; n < announces.length; n += BURST) {
    exchange(sender, announces.slice(n, n + BURST), () => {})
  }
  const requestsBefore = listener.counted(UdpCounter.received)

  return {
    listener,
    faults,
    requests: () => listener.counted(UdpCounter.received) - requestsBefore,
    collections: () => Atomics.load(collections, 0),
    /** A burst of requests of all kinds; each is answered once, as it has to be. */
    burst(): void {
      if (performance.now() - idAt > CONNECT_SECONDS * 1000) connect()
      const waiting = new Map<number, KnownRequest>()
      for (let n = 0; n < BURST; n++, transactionId++) {
        waiting.set(transactionId, swarms.request(id, transactionId))
      }
      const packets = Array.from(waiting.values(), ({ packet }) => packet)
      exchange(sender, packets, reply => {
        const number = reply.readUInt32BE(4)
        const request = waiting.get(number)
        waiting.delete(number)
        const fault = request ? request.fault(reply) : 'no request, or answered before'
        if (fault) faults.push(`${fault}: ${reply.toString('hex')}`)
      })
    },
  }
}

t.test('collections all the time leave every reply of a minute’s traffic whole', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const all = [
    await startTraffic(t, Family.ipv4, random),
    await startTraffic(t, Family.ipv6, random),
  ]
  const until = performance.now() + SECONDS * 1000
  for (let round = 0; performance.now() < until; round++) {
    for (const { burst } of all) burst()
    if (round % 16 === 0) collect()
    await pause(PAUSE_MILLIS)
  }
  for (const { listener, faults, requests, collections } of all) {
    t.same(faults.slice(0, 10), [])
    t.comment(`${listener.host}: ${requests()} requests, ${collections()} collections`)
    t.ok(requests() > 0)
    t.ok(collections() > requests() / 2 / COLLECT_EVERY, 'not for want of collections')
    t.equal(listener.counted(UdpCounter.sendFailed), 0)
    t.equal(await listener.stop(), 0)
  }
})
