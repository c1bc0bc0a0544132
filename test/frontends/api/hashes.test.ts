import t from 'tap'
import { invalid, readCount, readHash, uniqueHashes } from '../../../src/frontends/api/hashes.ts'

const HASH = '0123456789abcdef0123456789abcdef01234567'

function statusOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'body' in value
    ? JSON.parse(String(value.body)).status
    : value
}

t.test('accepts a hash in either case, and repeats an invalid one', t => {
  t.equal(readHash(HASH.toUpperCase(), 'info_hash'), HASH)
  for (const [text, status] of [
    ['123', 'invalid info_hash 123'],
    [`${HASH.slice(1)}g`, `invalid info_hash ${HASH.slice(1)}g`],
    [`${HASH.slice(1)}"`, `invalid info_hash ${HASH.slice(1)}"`],
    [`${HASH}0`, 'bad info_hash'],
    ['', 'bad info_hash'],
    ['hello', 'bad info_hash'],
    ['a'.repeat(5000), 'bad info_hash'],
  ] as const) {
    t.equal(statusOf(readHash(text, 'info_hash')), status)
  }
  t.end()
})

t.test('a count is an integer that a JavaScript number can represent', t => {
  t.equal(readCount('0', 'timeout'), 0)
  t.equal(readCount('007', 'timeout'), 7)
  t.equal(readCount('9007199254740991', 'timeout'), Number.MAX_SAFE_INTEGER)
  for (const text of ['-1', '+1', '1.0', '1e3', ' 1', '9007199254740992', '0x1', '١']) {
    t.equal(statusOf(readCount(text, 'timeout')), `invalid timeout ${text}`)
  }
  t.equal(statusOf(readCount('', 'timeout')), 'bad timeout')
  t.equal(statusOf(invalid('timeout', '9'.repeat(41))), 'bad timeout')
  t.end()
})

t.test('removes duplicates from a list and keeps its order', t => {
  t.same(uniqueHashes(['B', 'a', 'b', 'A', 'c']), ['b', 'a', 'c'])
  t.end()
})
