import t from 'tap'
import { Failure, failureText } from '../../src/protocol/failures.ts'

t.test('every failure has a sentence of its own, short and in ASCII', async t => {
  const codes = Object.values(Failure).filter(code => code !== Failure.none)
  const texts = codes.map(failureText)
  t.equal(new Set(texts).size, codes.length)
  for (const text of texts) t.match(text, /^[a-z][ -~]{5,99}$/)
  t.notOk(texts.includes(failureText(200)))
})

t.test('codes fit the byte that a reply has for them', async t => {
  for (const code of Object.values(Failure)) t.ok(code >= 0 && code < 256)
})

t.test('an unknown code is told as an internal error', async t => {
  for (const code of [0, -1, 99, 255]) t.equal(failureText(code), 'internal tracker error')
})
