import t from 'tap'
import * as bencode from '../../../src/protocol/http/bencode.ts'

/** What `write` puts at 5, and whether it says where it ended. */
function written(write: (out: Uint8Array, at: number) => number): string {
  const out = new Uint8Array(1024)
  const end = write(out, 5)
  const text = Buffer.from(out).toString('latin1')
  if (!/^\0*$/.test(text.slice(0, 5) + text.slice(end))) throw new Error('wrote elsewhere')
  return text.slice(5, end)
}

t.test('whole numbers are written in decimal', async t => {
  const numbers = [0, 1, 9, 10, 11, 99, 100, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32 - 1, 2 ** 32]
  for (let power = 1; power < 2 ** 53; power *= 10) numbers.push(power - 1, power, power + 1)
  for (const number of [...numbers, Number.MAX_SAFE_INTEGER, 2 ** 53]) {
    const digits = written((out, at) => bencode.writeDigits(out, at, number))
    t.equal(digits, String(number))
    t.equal(
      written((out, at) => bencode.writeInteger(out, at, number)),
      `i${number}e`,
    )
  }
})

t.test('strings are written with their length', async t => {
  const bytes = Uint8Array.from({ length: 600 }, (_, n) => n + 1)
  for (const length of [0, 1, 9, 10, 20, 159, 160, 161, 300, 500]) {
    const expected = Buffer.from(bytes.subarray(7, 7 + length)).toString('latin1')
    t.equal(
      written((out, at) => bencode.writeString(out, at, bytes, 7, length)),
      `${length}:${expected}`,
    )
  }
  t.equal(
    written((out, at) => bencode.writeStringHead(out, at, 12)),
    '12:',
  )
  t.equal(
    written((out, at) => bencode.writeText(out, at, 'missing port')),
    '12:missing port',
  )
})

t.test('a literal is copied as it is', async t => {
  const key = bencode.literal('8:interval')
  t.equal(
    written((out, at) => bencode.writeLiteral(out, at, key)),
    '8:interval',
  )
})
