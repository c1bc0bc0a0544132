import t from 'tap'
import { exactJson } from '../src/json.ts'

t.test('a bigint is an integer with all its digits, at any depth', async t => {
  t.equal(
    exactJson({ a: 2n ** 63n - 1n, b: [0n, { c: 9007199254740993n }], d: 'text', e: 5 }),
    '{"a":9223372036854775807,"b":[0,{"c":9007199254740993}],"d":"text","e":5}',
  )
})
