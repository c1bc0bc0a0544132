import t from 'tap'
import { Failure, failureText } from '../../src/protocol/failures.ts'

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
