import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { exactJson, parseExactJson } from '../src/json.ts'

t.test('a bigint is an integer with all its digits, at any depth', async t => {
  t.equal(
    exactJson({ a: 2n ** 63n - 1n, b: [0n, { c: 9007199254740993n }], d: 'text', e: 5 }),
    '{"a":9223372036854775807,"b":[0,{"c":9007199254740993}],"d":"text","e":5}',
  )
})

t.test('an integer that a number would round is parsed as a bigint', async t => {
  for (const [text, value] of [
    ['9007199254740993', 9007199254740993n],
    ['[1,-9223372036854775808 ,{"a":\n18446744073709551616}]', [1, -(2n ** 63n), { a: 2n ** 64n }]],
    ['9007199254740991', 9007199254740991],
    ['"9007199254740993"', '9007199254740993'],
    [
      '["\\"9007199254740993","\\\\",9007199254740993]',
      ['"9007199254740993', '\\', 9007199254740993n],
    ],
    [
      '[90071992547409930.5,0.12345678901234567,12345678901234567e1]',
      ['90071992547409930.5', '0.12345678901234567', '12345678901234567e1'].map(Number),
    ],
    ['["\\u00001",12345678901234567890]', ['\u00001', Number('12345678901234567890')]],
  ] as const) {
    t.same(parseExactJson(text), value, text)
  }
  for (const text of [
    '09007199254740993',
    '9007199254740993x',
    '"9007199254740993',
    '[--9007199254740993]',
  ]) {
    t.throws(() => parseExactJson(text), SyntaxError, text)
  }
})

t.test('all other JSON is parsed as JSON.parse does', async () => {
  const digits = fc.stringMatching(/^[-"\\,:[\]{}0-9.e ]{0,40}$/)
  const value = fc.dictionary(fc.string(), fc.oneof(fc.maxSafeInteger(), fc.string(), digits))
  fc.assert(
    fc.property(fc.array(value), entries => {
      const text = JSON.stringify([...entries, '1234567890123456'])
      assert.deepEqual(parseExactJson(text), JSON.parse(text))
    }),
    { numRuns: 200 },
  )
})

t.test('parsing takes linear time', async t => {
  for (const text of [
    `"${'\\"'.repeat(2_000_000)}`,
    `[${'1'.repeat(4_000_000)}.`,
    '"'.repeat(4_000_000),
  ]) {
    t.throws(() => parseExactJson(`${text}1234567890123456`), SyntaxError)
  }
})
