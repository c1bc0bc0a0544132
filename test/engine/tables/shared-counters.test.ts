import t from 'tap'
import { addOne, createCounters, readCounter } from '../../../src/engine/tables/shared-counters.ts'

t.test('a counter carries when its low word wraps, and does not change its neighbours', async t => {
  const counters = new Uint32Array(createCounters(3))
  counters[2] = 0xffff_fffe
  addOne(counters, 1)
  t.equal(readCounter(counters, 1), 2 ** 32 - 1)
  addOne(counters, 1)
  t.equal(readCounter(counters, 1), 2 ** 32)
  addOne(counters, 1)
  t.same(
    [0, 1, 2].map(n => readCounter(counters, n)),
    [0, 2 ** 32 + 1, 0],
  )
})
