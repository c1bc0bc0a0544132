import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createRateBuckets, type Rate, takeToken } from '../../../src/engine/tables/rate-buckets.ts'
import { threadUrl } from '../../../src/thread-url.ts'
import { fc } from '../../fixtures/seed.ts'
import type { TokenTaker } from './fixtures/token-taker.ts'

const NOW = 1_700_000_000
const newBuckets = () => new Int32Array(createRateBuckets())

t.test('a bucket allows its burst, and then its rate', async t => {
  const buckets = newBuckets()
  const rate = { period: 500, burst: 3 }
  const take = (now: number) => takeToken(buckets, 7, now, rate)
  t.same([take(NOW), take(NOW), take(NOW), take(NOW)], [true, true, true, false])
  t.same([take(NOW + 1), take(NOW + 1), take(NOW + 1)], [true, true, false], 'two a second')
  t.same(
    [1, 2, 3, 4].map(() => take(NOW + 100)),
    [true, true, true, false],
    'full, no fuller',
  )
})

/** The obvious token bucket, in tokens. */
function obvious({ period, burst }: Rate): (now: number) => boolean {
  let tokens = burst
  let last = 0
  return now => {
    if (last !== 0) tokens = Math.min(burst, tokens + ((now - last) * 1000) / period)
    last = now
    // The refill is a fraction, which floating point represents inexactly.
    if (tokens < 1 - 1e-6) return false
    tokens--
    return true
  }
}

t.test('a bucket agrees with a simple model at any rate and time, to a token', async t => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 1, max: 1000 }),
      fc.integer(),
      // Where the clock begins: around a wrap of its milliseconds too.
      fc.oneof(fc.integer({ min: 1, max: 4_000_000_000 }), fc.constant(1_700_807_000)),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 40 }))),
      (period, burst, hash, begin, steps) => {
        const buckets = newBuckets()
        const most = obvious({ period, burst })
        // Each of an address's two buckets may hold part of a token. A small one has one bucket.
        const least = obvious({ period, burst: burst < 4 ? burst : burst - 1 })
        const got = { most: 0, own: 0, least: 0 }
        let now = begin
        for (const [seconds, attempts] of steps) {
          now += seconds
          for (let n = 0; n < attempts; n++) {
            if (most(now)) got.most++
            if (least(now)) got.least++
            if (takeToken(buckets, hash, now, { period, burst })) got.own++
            if (got.own > got.most || got.own < got.least) return false
          }
        }
        return true
      },
    ),
  )
  t.pass()
})

/** The hash of address `n` of a group. */
const inGroup = (n: number) => (0x12345 << 19) | (n + 1)

t.test('addresses of one group get no more than alone, and three quarters at least', async t => {
  const addresses = 5
  const step = fc.record({
    seconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 })),
    address: fc.integer({ min: 0, max: addresses - 1 }),
    attempts: fc.integer({ min: 1, max: 60 }),
  })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(step, { maxLength: 60 }),
      (period, burst, steps) => {
        const buckets = newBuckets()
        const least = burst - (burst >> 2)
        const models = Array.from({ length: addresses }, () => ({
          alone: obvious({ period, burst }),
          busy: obvious({ period, burst: least }),
          most: 0,
          least: 0,
          got: 0,
        }))
        let now = NOW
        for (const { seconds, address, attempts } of steps) {
          now += seconds
          const model = models[address] as (typeof models)[number]
          for (let n = 0; n < attempts; n++) {
            if (model.alone(now)) model.most++
            if (model.busy(now)) model.least++
            if (takeToken(buckets, inGroup(address), now, { period, burst })) model.got++
            if (model.got > model.most || model.got < model.least) return false
          }
        }
        return true
      },
    ),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('an attacker leaves the others of its group their rate and most of their burst', async t => {
  const buckets = newBuckets()
  const rate = { period: 20, burst: 6000 }
  let attacker = 0
  let honest = 0
  const seconds = 600
  for (let second = 0; second < seconds; second++) {
    for (let n = 0; n < 500; n++) {
      if (takeToken(buckets, inGroup(1), NOW + second, rate)) attacker++
      if (n % 10 === 0 && takeToken(buckets, inGroup(2), NOW + second, rate)) honest++
    }
  }
  const rates = (seconds - 1) * 50
  t.ok(attacker <= 6000 + rates && attacker >= 4500 + rates, `${attacker} tokens`)
  t.equal(honest, seconds * 50)
  const burst = Array.from({ length: 6000 }, () =>
    takeToken(buckets, inGroup(3), NOW + seconds, rate),
  ).filter(Boolean)
  t.equal(burst.length, 4500)
})

t.test('a wrapped clock neither blocks a client nor lifts its limit', async t => {
  const wrap = Math.ceil(2 ** 32 / 1000) * 400
  const rate = { period: 1000, burst: 5 }
  const buckets = newBuckets()
  const got = (now: number) => [1, 2, 3, 4, 5, 6].filter(() => takeToken(buckets, 9, now, rate))
  t.equal(got(wrap - 2).length, 5)
  t.equal(got(wrap + 2).length, 4)
  t.equal(got(wrap + 2_147_483).length, 5, 'half the range later')
})

t.test('when all buckets are in use, the one with the most tokens is replaced', async t => {
  const buckets = newBuckets()
  const rate = { period: 60_000, burst: 2 }
  const inSet = (n: number) => (n << 16) | 5
  for (let n = 1; n <= 4; n++) takeToken(buckets, inSet(n), NOW, rate)
  for (let n = 2; n <= 4; n++) takeToken(buckets, inSet(n), NOW, rate)
  t.ok(takeToken(buckets, inSet(5), NOW, rate), 'the fifth gets the bucket of the first')
  t.ok(takeToken(buckets, inSet(5), NOW, rate), 'with a full burst')
  t.notOk(takeToken(buckets, inSet(5), NOW, rate))
  t.notOk(takeToken(buckets, inSet(3), NOW, rate), 'who owes more keeps its own')
})

t.test('threads that share a bucket take each token of its lower three quarters once', async t => {
  const threads = 4
  const hashes = [1, -5, 0x00ff0000, 0x7fff0001, 0x12340001, 0x55000063]
  const rate = { period: 1, burst: 5000 }
  const memory = createRateBuckets()
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const told = await Promise.all(
    Array.from({ length: threads }, async () => {
      const workerData: TokenTaker = {
        memory,
        gate,
        threads,
        hashes,
        attempts: 60_000,
        nowSeconds: NOW,
        rate,
      }
      const worker = new Worker(threadUrl('./fixtures/token-taker', import.meta.url), {
        workerData,
      })
      return (await once(worker, 'message'))[0] as number[]
    }),
  )
  const sums = hashes.map((_, n) => told.reduce((sum, got) => sum + (got[n] ?? 0), 0))
  // Each token of the upper quarter may be taken by every thread.
  const most = (rate.burst / 4) * (threads + 3)
  for (const sum of sums) t.ok(sum >= rate.burst && sum <= most, `${sum} tokens`)
  const buckets = new Int32Array(memory)
  for (const hash of hashes) t.notOk(takeToken(buckets, hash, NOW, rate), 'the bucket is empty')
})
