import { isDeepStrictEqual } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { allocate } from '../../../src/protocol/bytes.ts'
import { parseAnnounce, parseScrape } from '../../../src/protocol/http/request.ts'
import { SCRAPE_HASHES_MAX } from '../../../src/protocol/limits.ts'
import { HASH_BYTES, SCRAPE_REQUEST_HEADER_BYTES } from '../../../src/protocol/records.ts'
import { rounds } from '../../fixtures/rounds.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { CLIENT_QUERIES } from '../fixtures/client-queries.ts'
import { announce, IPV4, IPV6, RULES, scrape } from '../fixtures/parse.ts'
import { slowAnnounce, slowScrape } from '../fixtures/slow-parse.ts'

const QUERIES = rounds(25_000, 120_000)
/** Bytes after 50,000 queries: an object stored for each would be more. */
const HEAP_GROWTH_BYTES_MAX = 1024 * 1024

const NAMES = [
  ...['info_hash', 'peer_id', 'port', 'uploaded', 'downloaded', 'left', 'event', 'numwant'],
  ...['compact', 'no_peer_id', 'ip', 'ipv4', 'ipv6', 'key', 'trackerid', '', '%', 'info_hash[]'],
]
const VALUES = [
  ...['0', '1', '-1', '65536', '4294967296', '9'.repeat(40), '1e308', 'NaN', '%00', '%', '%f', '+'],
  ...['10.0.0.1', '[::1]:1', '2001:db8::1', '%5B::%5D', '::ffff:1.2.3.4', 'a'.repeat(20), ''],
]

type Random = (bound: number) => number

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T
}

function text(random: Random, length: number, bound: number): string {
  return String.fromCharCode(...Array.from({ length }, () => random(bound)))
}

/** One fault of a query. */
function mutate(random: Random, query: string): string {
  const at = random(query.length + 1)
  const end = at + random(12)
  const before = query.slice(0, at)
  switch (random(9)) {
    case 0:
      return before
    case 1:
      return query.slice(at)
    case 2:
      return before + query.slice(end)
    case 3: {
      const flipped = (query.charCodeAt(at) || 0) ^ (1 << random(8))
      return before + String.fromCharCode(flipped) + query.slice(at + 1)
    }
    case 4:
      return before + text(random, random(6), random(20) === 0 ? 0x10000 : 256) + query.slice(end)
    case 5:
      return (
        before + pick(random, ['%', '&', '=', '%%', '&&', '&port', '%2', '\0']) + query.slice(at)
      )
    case 6:
      return `${query}&${pick(random, query.split('&'))}`
    case 7:
      return `${pick(random, NAMES)}=${pick(random, VALUES)}&${query}`
    default:
      return query.replace(/=[^&]*/g, value =>
        random(8) === 0 ? `=${pick(random, VALUES)}` : value,
      )
  }
}

function malformed(random: Random): string {
  if (random(50) === 0) return text(random, random(300), 256)
  if (random(500) === 0) return 'info_hash=aaaaaaaaaaaaaaaaaaaa&'.repeat(random(300))
  let query = pick(random, CLIENT_QUERIES).query
  for (let n = random(4); n >= 0; n--) query = mutate(random, query)
  return query
}

t.test(`${QUERIES} malformed queries get the answers of a simple parser`, async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  const codes = new Map<number | 'understood', number>()
  for (let n = 0; n < QUERIES; n++) {
    const query = malformed(random)
    const rules = { ...RULES, usePayloadIp: random(2) === 0 }
    const connected = pick(random, [IPV4, IPV6])
    const got = announce(query, rules, connected)
    if (!isDeepStrictEqual(got, slowAnnounce(query, rules, connected))) {
      t.same(
        got,
        slowAnnounce(query, rules, connected),
        JSON.stringify({ query, rules, connected }),
      )
      return
    }
    const hashes = scrape(query)
    if (!isDeepStrictEqual(hashes, slowScrape(query))) {
      t.same(hashes, slowScrape(query), JSON.stringify(query))
      return
    }
    const code = typeof got === 'number' ? got : 'understood'
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  t.comment(JSON.stringify([...codes]))
  t.ok((codes.get('understood') ?? 0) > QUERIES / 20, 'many are still announces')
  t.ok(codes.size > 7, 'many ways to be wrong are met')
})

t.test('malformed queries do not use up memory', async t => {
  const random = seededRandom(7)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const rules = { ...RULES, usePayloadIp: true }
  const into = allocate(SCRAPE_REQUEST_HEADER_BYTES + SCRAPE_HASHES_MAX * HASH_BYTES)
  const parseMany = (queries: number) => {
    for (let n = 0; n < queries; n++) {
      const query = malformed(random)
      parseAnnounce(query, into, 0, rules)
      parseScrape(query, into, 0)
    }
  }
  // Compiled code stays in memory.
  parseMany(20_000)
  collect()
  const before = process.memoryUsage().heapUsed
  parseMany(50_000)
  collect()
  const grown = process.memoryUsage().heapUsed - before
  t.ok(grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`)
})
