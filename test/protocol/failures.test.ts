import t from 'tap'
import {
  FAILURE_KEYS,
  Failure,
  failureAnswer,
  failureAnswers,
  failureText,
} from '../../src/protocol/failures.ts'

/** Texts by which tools that clean up clients recognise a torrent that the site removed. */
const REMOVED =
  /unknown|unregistered|not registered|not exist|not found|dead|dupe|trump|nuked|uploaded|upgraded/i

t.test('codes are numbered in order and fit the byte of a reply', async t => {
  t.same(Object.values(Failure), [...Object.values(Failure).keys()])
  t.equal(Failure.none, 0)
  t.ok(Object.values(Failure).length < 256)
})

t.test('every failure has a text of its own, short and in ASCII', async t => {
  const codes = Object.values(Failure).filter(code => code !== Failure.none)
  const texts = codes.map(failureText)
  t.equal(new Set(texts).size, codes.length)
  for (const text of texts) t.match(text, /^[a-z][ -~]{5,99}$/)
  t.notOk(texts.includes(failureText(200)))
})

t.test('only a torrent that is not listed reads as removed by the site', async t => {
  for (const [name, code] of Object.entries(Failure)) {
    const isUnlisted = code === Failure.notWhitelisted || code === Failure.blacklisted
    t.equal(REMOVED.test(failureText(code)), isUnlisted, name)
    t.notMatch(failureText(code), /forbidden/i, name)
    if (isUnlisted) t.match(failureText(code), /unregistered torrent/)
  }
})

t.test('an unknown code has the text of an internal error', async t => {
  for (const code of [0, -1, 99, 255]) t.equal(failureText(code), 'internal tracker error')
})

t.test('the kind of a failure decides when a client announces again', async t => {
  const answers = failureAnswers({ shortInterval: 60, longInterval: 900 })
  const of = (code: number) => failureAnswer(answers, code)
  t.match(of(Failure.overloaded), { interval: 60, retry: 'short' })
  t.match(of(Failure.unknownKey), { interval: 900, retry: 'long' })
  t.match(of(Failure.missingInfoHash), { interval: 900, retry: 'never' })
})

t.test('an operator replaces texts and intervals by name', async t => {
  t.ok(FAILURE_KEYS.includes('too_many_announces'))
  t.notOk(FAILURE_KEYS.includes('none'))
  const answers = failureAnswers({
    texts: { not_whitelisted: 'ask staff' },
    intervals: { overloaded: 7 },
  })
  t.match(failureAnswer(answers, Failure.notWhitelisted), { text: 'ask staff', interval: 300 })
  t.match(failureAnswer(answers, Failure.overloaded), { text: 'tracker overloaded', interval: 7 })
})

t.test('the texts of Torrust-Actix can be restored', async t => {
  const answers = failureAnswers({ torrustActix: true, texts: { unknown_key: 'mine' } })
  const of = (code: number) => failureAnswer(answers, code).text
  t.equal(of(Failure.notWhitelisted), 'unknown info_hash')
  t.equal(of(Failure.blacklisted), 'forbidden info_hash')
  t.equal(of(Failure.unknownUserKey), 'unknown user key')
  t.equal(of(Failure.unknownOrigin), 'unknown origin ip')
  t.equal(of(Failure.undecodableKey), 'unable to decode hex string')
  t.equal(of(Failure.invalidKey), 'invalid key')
  t.equal(of(Failure.missingKey), 'missing key')
  t.equal(of(Failure.unknownKey), 'mine', 'a text of the operator counts before these')
})
