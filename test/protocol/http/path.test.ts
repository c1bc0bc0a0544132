import t from 'tap'
import { allocate } from '../../../src/protocol/bytes.ts'
import { Failure } from '../../../src/protocol/failures.ts'
import { type PathRules, parsePathKeys, pathKind } from '../../../src/protocol/http/path.ts'
import { Kind } from '../../../src/protocol/records.ts'

const KEY = '0123456789abcdef0123456789ABCDEF01234567'
const USER = 'fedcba9876543210fedcba9876543210fedcba98'
const both: PathRules = { keys: true, users: true }
const keys: PathRules = { keys: true, users: false }
const users: PathRules = { keys: false, users: true }

/** The failure, or the two keys as the record has them, in hex. */
function parse(path: string, rules: PathRules): number | [string, string] {
  const into = allocate(48)
  const failure = parsePathKeys(path, rules, into, 2, 24)
  const hex = (at: number) => Buffer.from(into.u8.slice(at, at + 20)).toString('hex')
  return failure === Failure.none ? [hex(2), hex(24)] : failure
}
const NONE = '0'.repeat(40)
const key = KEY.toLowerCase()

t.test('a path is an announce or a scrape wherever its keys stand', async t => {
  for (const path of ['/announce', '/a/announce', '/a/b/announce', '/announce/a', '/announce/a/b'])
    t.equal(pathKind(path), Kind.announce, path)
  for (const path of ['/scrape', '/a/scrape?x=/announce', '/a/b/scrape', '/scrape/a', '/scrape/'])
    t.equal(pathKind(path), Kind.scrape, path)
  for (const path of ['', '/', '/a', '/a/b', '/announced', '/a/b/c/announce', '/a/announce/b', '?'])
    t.equal(pathKind(path), 0, path)
})

t.test('keys are taken from either form of path, in either case', async t => {
  for (const path of [`/${KEY}/${USER}/announce?x=1`, `/announce/${KEY}/${USER}`])
    t.same(parse(path, both), [key, USER], path)
  for (const path of [`/${KEY}/scrape`, `/scrape/${KEY}`, `/${KEY}/${USER}/scrape`])
    t.same(parse(path, keys), [key, NONE], path)
  for (const path of [`/${USER}/announce`, `/announce/${USER}`, `/${KEY}/${USER}/announce`])
    t.same(parse(path, users), [NONE, USER], path)
})

t.test('keys that the rules do not require are ignored', async t => {
  t.same(parse('/nonsense/announce', { keys: false, users: false }), [NONE, NONE])
})

t.test('what is wrong with a key is said', async t => {
  t.equal(parse('/announce', both), Failure.missingKey)
  t.equal(parse('/announce', users), Failure.missingKey)
  t.equal(parse(`/${KEY}/announce`, both), Failure.missingKey)
  t.equal(parse('/abc/announce', keys), Failure.invalidKey)
  t.equal(parse(`/${KEY}/abc/announce`, both), Failure.invalidUserKey)
  t.equal(parse('/abc/announce', users), Failure.invalidUserKey)
  t.equal(parse(`/${'g'.repeat(40)}/announce`, keys), Failure.undecodableKey)
  t.equal(parse(`/${'%'.repeat(40)}/announce`, keys), Failure.undecodableKey)
})

t.test('no path throws', async t => {
  for (let n = 0; n < 2000; n++) {
    const text = Array.from({ length: n % 90 }, (_, i) =>
      String.fromCharCode((n * 31 + i * i * 7) % 256),
    ).join('')
    parse(`/${text}/announce`, both)
    pathKind(text)
  }
  t.pass()
})
