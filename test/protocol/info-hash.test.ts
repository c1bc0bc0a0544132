import fc from 'fast-check'
import t from 'tap'
import {
  formatInfoHash,
  parseInfoHash,
  percentDecode,
  percentEncode,
} from '../../src/protocol/info-hash.ts'

t.test('an info hash is 40 hex digits, written in lower case', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), hash => {
      const text = Buffer.from(hash).toString('hex')
      t.equal(formatInfoHash(Uint8Array.of(1, 2, ...hash, 3), 2), text)
      t.same(parseInfoHash(text), hash)
      t.same(parseInfoHash(text.toUpperCase()), hash)
    }),
  )
})

t.test('other text is no info hash', async t => {
  const digits = 'a'.repeat(40)
  for (const text of ['', 'a', digits.slice(1), `${digits}a`, `g${digits.slice(1)}`]) {
    t.equal(parseInfoHash(text), undefined, text)
  }
  for (const text of [` ${digits.slice(1)}`, `${digits}\n`, `0x${digits.slice(2)}`]) {
    t.equal(parseInfoHash(text), undefined, JSON.stringify(text))
  }
})

t.test('percent-encoding escapes all but unreserved characters', async t => {
  t.equal(
    percentEncode(Buffer.from('aZ09-._~ +&=%/\x00\xff', 'latin1')),
    'aZ09-._~%20%2b%26%3d%25%2f%00%ff',
  )
  t.equal(percentEncode(new Uint8Array(0)), '')
})

t.test('percent-decoding undoes percent-encoding', async t => {
  fc.assert(
    fc.property(fc.uint8Array(), bytes => {
      const text = percentEncode(bytes)
      t.same(percentDecode(text), bytes)
      t.same(percentDecode(text.replace(/%../g, triple => triple.toUpperCase())), bytes)
    }),
  )
})

t.test('a plus is a plus, and broken escapes are refused', async t => {
  t.same(percentDecode('+%2B\xff'), Uint8Array.of(0x2b, 0x2b, 0xff))
  for (const text of ['%', '%4', '%4g', '%g4', 'a%', '%%41', '\u0100', '%\u01304']) {
    t.equal(percentDecode(text), undefined, text)
  }
})
