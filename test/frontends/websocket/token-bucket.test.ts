import t from 'tap'
import { TokenBucket } from '../../../src/frontends/websocket/token-bucket.ts'
import { fc } from '../../fixtures/seed.ts'

t.test('a bucket gives its burst, then refills', async t => {
  const bucket = new TokenBucket()
  const rate = { burst: 3, perSecond: 2 }
  const taken = (now: number) => {
    let count = 0
    while (bucket.take(1, now, rate)) count++
    return count
  }
  t.equal(taken(100), 3)
  t.equal(taken(100.4), 0)
  t.equal(taken(101.1), 2)
  t.equal(taken(200), 3, 'no more than the burst')
  t.equal(bucket.missing(200.5, rate), 2)
  t.equal(bucket.missing(300, rate), 0)
})

t.test('a cost above the burst takes the whole bucket', async t => {
  const bucket = new TokenBucket()
  const rate = { burst: 4, perSecond: 1 }
  t.ok(bucket.take(100, 0, rate))
  t.notOk(bucket.take(1, 0.5, rate))
  t.notOk(bucket.take(100, 3, rate))
  t.ok(bucket.take(100, 4, rate))
})

t.test('over any time a bucket gives at most its burst and what it refills', async () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          wait: fc.double({ min: 0, max: 3, noNaN: true }),
          cost: fc.integer({ min: 1, max: 5 }),
        }),
      ),
      steps => {
        const bucket = new TokenBucket()
        const rate = { burst: 7, perSecond: 2 }
        let now = 0
        let spent = 0
        for (const { cost, wait } of steps) {
          now += wait
          if (bucket.take(cost, now, rate)) spent += cost
        }
        return spent <= 7 + now * 2 + 1e-6
      },
    ),
  )
})
