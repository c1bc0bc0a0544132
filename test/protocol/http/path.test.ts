import { createHash } from 'node:crypto'
import t from 'tap'
import { allocate, bytesOf } from '../../../src/protocol/bytes.ts'
import { Failure } from '../../../src/protocol/failures.ts'
import { isTrackerPath, type PathRules, TrackerPaths } from '../../../src/protocol/http/path.ts'
import { Kind } from '../../../src/protocol/records.ts'
import { fc } from '../../fixtures/seed.ts'

const KEY = '0123456789abcdef0123456789ABCDEF01234567'
const USER = 'fedcba9876543210fedcba9876543210fedcba98'
const both: PathRules = { keys: true, users: true }
const keys: PathRules = { keys: true, users: false }
const users: PathRules = { keys: false, users: true }

const pathKind = (path: string, rules = users) => new TrackerPaths(rules).kindOf(path)

/** The failure, or the two keys as the record has them, in hex. */
function parse(path: string, rules: PathRules, isScrape = false): number | [string, string] {
  const into = allocate(48)
  const [plain = '', query] = path.split('?')
  const paths = new TrackerPaths(rules)
  const failure = isScrape
    ? paths.readScrapeKeys(plain, query, into, 2, 24)
    : paths.readAnnounceKeys(plain, query, into, 2, 24)
  const hex = (at: number) => Buffer.from(into.u8.slice(at, at + 20)).toString('hex')
  return failure === Failure.none ? [hex(2), hex(24)] : failure
}
const NONE = '0'.repeat(40)
const key = KEY.toLowerCase()

t.test('a path is an announce or a scrape wherever its keys are', async t => {
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

t.test('the failure names the fault of a key', async t => {
  t.equal(parse('/announce', both), Failure.missingKey)
  t.equal(parse('/announce', users), Failure.missingKey)
  t.equal(parse(`/${KEY}/announce`, both), Failure.missingKey)
  t.equal(parse('/abc/announce', keys), Failure.invalidKey)
  t.equal(parse(`/${KEY}/abc/announce`, both), Failure.invalidUserKey)
  t.equal(parse('/abc/announce', users), Failure.invalidUserKey)
  t.equal(parse(`/${'g'.repeat(40)}/announce`, keys), Failure.undecodableKey)
  t.equal(parse(`/${'%'.repeat(40)}/announce`, keys), Failure.undecodableKey)
})

const PASSKEY = 'Abcdefgh-ijkl_mnop.qrst~'
const text: PathRules = { ...users, keyFormat: 'text' }
const digest = createHash('sha256').update(PASSKEY).digest('hex').slice(0, 40)

t.test('every form of URL that private trackers use can be configured', async t => {
  const php: PathRules = { ...text, announcePaths: ['/announce.php'], scrapePaths: ['/scrape.php'] }
  for (const [path, rules] of [
    [`/announce/${PASSKEY}`, text],
    [`/${PASSKEY}/announce`, text],
    [`/announce.php?passkey=${PASSKEY}&x=1`, { ...php, keyParameter: 'passkey' }],
    [`/announce.php?x=1&pid=${PASSKEY}`, { ...php, keyParameter: 'pid' }],
    [`/ann?uk=${PASSKEY}`, { ...text, announcePaths: ['/ann'], keyParameter: 'uk' }],
    [`/tracker/announce/${PASSKEY}`, { ...text, announcePaths: ['/tracker/announce'] }],
    [`/${PASSKEY}/announce.php`, php],
    [`/a/${PASSKEY}`, { ...text, announcePaths: ['/a'] }],
    [`/tracker/${PASSKEY}/announce`, { ...text, announcePaths: ['/tracker/{key}/announce'] }],
    [`/t-${PASSKEY}.php`, { ...text, announcePaths: ['/t-{user_key}.php'] }],
  ] as const) {
    t.equal(pathKind(path, rules), Kind.announce, path)
    t.same(parse(path, rules), [NONE, digest], path)
  }
  t.equal(pathKind('/scrape.php', php), Kind.scrape)
  t.equal(pathKind('/announce', php), 0, 'the default path is not served then')
  t.equal(pathKind(`/${PASSKEY}/announceXphp`, php), 0, 'a dot is a dot')
  const placed = { ...both, announcePaths: ['/{user_key}/{key}/a'] }
  t.same(parse(`/${USER}/${KEY}/a`, placed), [key, USER])
  const named = { ...both, keyParameter: 'k', userKeyParameter: 'u' }
  t.same(parse(`/announce?u=${USER}&k=${KEY}`, named), [key, USER])
  t.same(parse(`/${KEY}/announce?u=${USER}`, named), [key, USER])
})

t.test('the name of a parameter with a key may be in any case', async t => {
  const rules = { ...text, keyParameter: 'passkey' }
  for (const query of [
    `PassKey=${PASSKEY}`,
    `x=1&PASSKEY=${PASSKEY}&y=2`,
    `passKey=${PASSKEY}?x=1`,
  ])
    t.same(parse(`/announce?${query}`, rules), [NONE, digest], query)
  const twice = `PASSKEY=otherkey&passkey=${PASSKEY}`
  t.same(parse(`/announce?${twice}`, rules), [NONE, digest], 'the configured case comes first')
  const dotted = { ...text, keyParameter: 'u.k' }
  t.equal(parse(`/announce?UXK=${PASSKEY}`, dotted), Failure.missingKey, 'a dot is a dot')
})

t.test('a second question mark ends the key, and a parameter may be escaped', async t => {
  const rules = { ...text, keyParameter: 'passkey' }
  t.same(parse(`/announce?passkey=${PASSKEY.replace('~', '%7E')}`, rules), [NONE, digest])
  t.same(parse(`/announce?passkey=${PASSKEY}?info_hash=1`, rules), [NONE, digest])
  for (const query of ['', 'passkey=', 'xpasskey=abcdefgh', 'x=passkey', 'passkey'])
    t.equal(parse(`/announce?${query}`, rules), Failure.missingKey, query)
})

t.test(
  'text keys have 8 to 64 characters of a URL; 40 hexadecimal digits mean the same',
  async t => {
    t.same(parse(`/announce/${USER.toUpperCase()}`, text), [NONE, USER])
    for (const bad of ['short12', 'x'.repeat(65), 'with%20space', 'umlaut-ä-ö-ü'])
      t.equal(parse(`/announce/${bad}`, text), Failure.invalidUserKey, bad)
    t.not(String(parse('/announce/abcdefgh', text)), String(parse('/announce/Abcdefgh', text)))
  },
)

t.test('the form of Torrust-Actix joins the second key and the last part', async t => {
  t.equal(pathKind(`/${KEY}/${USER}announce`, both), Kind.announce)
  t.equal(pathKind(`/${KEY}/${USER}scrape`, both), Kind.scrape)
  t.same(parse(`/${KEY}/${USER}announce`, both), [key, USER])
  t.same(parse(`/${KEY}/${USER}scrape`, keys), [key, NONE])
  t.same(parse(`/${KEY}/${USER}announce`, users), [NONE, USER])
  t.equal(pathKind(`/${KEY}/shortannounce`, both), 0)
})

t.test('absent optional keys are zeros, and wrong ones are refused', async t => {
  const optional = { ...both, usersRequired: false }
  t.same(parse(`/${KEY}/announce`, optional), [key, NONE])
  t.equal(parse('/announce', optional), Failure.missingKey, 'the tracker key is required')
  t.equal(parse(`/${KEY}/short/announce`, optional), Failure.invalidUserKey)
  t.same(parse('/announce', { ...users, usersRequired: false }), [NONE, NONE])
  const open = { ...both, scrapeNeedsKey: false }
  t.same(parse('/scrape', open, true), [NONE, NONE])
  t.same(parse(`/${KEY}/scrape`, open, true), [key, NONE])
  t.equal(parse('/short/scrape', open, true), Failure.invalidKey)
  t.equal(parse('/announce', open), Failure.missingKey, 'announces need them')
})

t.test('paths of the configuration', async t => {
  for (const path of [
    '/announce',
    '/a',
    '/announce.php',
    '/tracker/{key}/announce',
    '/{key}/{user_key}',
  ])
    t.ok(isTrackerPath(path), path)
  for (const path of [
    '',
    '/',
    'announce',
    '/a//b',
    '/a/',
    '/a b',
    '/{key}/{key}',
    '/{pass}',
    '/*',
    '/:a',
    '/a?b',
  ])
    t.notOk(isTrackerPath(path), path)
})

/** The keys that `readCommonPath` reads; undefined for a path that it leaves to other code. */
function parseCommon(path: string, rules: PathRules): [string, string] | undefined {
  const into = allocate(48)
  const bytes = Buffer.from(`guard/${path}/guard`, 'latin1')
  const place = { at: 6, end: 6 + path.length }
  if (!new TrackerPaths(rules).readCommonPath(bytesOf(bytes), place, into, 2, 24)) return undefined
  const hex = (at: number) => Buffer.from(into.u8.slice(at, at + 20)).toString('hex')
  return [hex(2), hex(24)]
}

t.test('the common form of an announce path is read from bytes', async t => {
  t.same(parseCommon(`/${KEY}/announce`, keys), [key, NONE])
  t.same(parseCommon(`/${USER}/announce?a=b`, users), [NONE, USER])
  const php = { ...text, announcePaths: ['/t/announce.php', '/announce'] }
  t.same(parseCommon(`/${USER}/t/announce.php`, php), [NONE, USER])
  for (const path of [`/${USER}/announce`, `/${PASSKEY}/t/announce.php`])
    t.equal(parseCommon(path, php), undefined)
  t.equal(parseCommon(`/${KEY}/announce`, both), undefined)
  t.equal(
    parseCommon(`/${KEY}/announce`, { ...keys, announcePaths: ['/{key}/announce'] }),
    undefined,
  )
})

t.test('the common form gives the same keys as any other way to read it', async t => {
  const parts = ['/', KEY, USER, '/announce', 'announce', '?', '?a=b', '//', 'g', '%', 'scrape']
  const ways = fc.constantFrom<PathRules>(
    keys,
    users,
    both,
    text,
    { ...users, usersRequired: false, keyParameter: 'a' },
    { ...users, announcePaths: ['/announce/announce', '/announce'] },
    { ...keys, announcePaths: ['/{user_key}/announce', '/announce'] },
    { ...keys, announcePaths: [] },
  )
  let common = 0
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...parts), { maxLength: 5 }), ways, (pieces, rules) => {
      for (const path of [pieces.join(''), `/${USER}/announce${pieces.join('')}`]) {
        const found = parseCommon(path, rules)
        if (found === undefined) continue
        common++
        if (String(found) !== String(parse(path, rules))) return false
      }
      return true
    }),
    { numRuns: 2000 },
  )
  t.ok(common > 100, `${common} paths have the common form`)
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
