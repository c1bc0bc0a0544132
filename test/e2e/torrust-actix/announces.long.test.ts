import bencode from 'bencode'
import t from 'tap'
import { percentEncode } from '../../fixtures/http-client.ts'
import { hashOf } from '../../fixtures/tracker-client.ts'
import { type Compared, skipWithoutOriginal as skip, TOKEN } from '../fixtures/original.ts'
import { askRaw, type RawRequest } from '../fixtures/raw-request.ts'
import { ANNOUNCE_DIFFERENCES } from './fixtures/explained-announces.ts'
import { announceQuery, combinations, fieldsOf, ODD_ANNOUNCES } from './fixtures/odd-announces.ts'
import { type Pair, startPair } from './fixtures/pair.ts'
import { type Members, SideBySide } from './fixtures/side-by-side.ts'

type Sent = RawRequest & { readonly what: string; readonly is6?: boolean }

async function ask(tracker: Compared, request: Sent): Promise<Members> {
  const port = request.is6 ? tracker.http6 : tracker.http
  const answer = await askRaw(port, { ...request, ...(request.is6 && { host: '::1' }) })
  const type = answer.headers['content-type']?.split(';')[0]
  const cors = answer.headers['access-control-allow-origin']
  const encoding = answer.headers['content-encoding']
  const base = { status: answer.status, type, cors, encoding }
  return { ...base, ...(encoding === undefined && decode(answer.body)) }
}

function decode(body: Buffer): Members {
  if (body.length === 0) return {}
  try {
    const decoded = bencode.decode(body) as Record<string, unknown>
    const reason = decoded['failure reason']
    if (reason !== undefined) return { text: textOf(reason), ...withoutReason(decoded) }
    const peers = {
      ...readPeers(decoded, 'peers', 6),
      ...readPeers(decoded, 'peers6', 18),
    }
    return { ...decoded, ...peers, ...readFiles(decoded['files']) }
  } catch {
    return { body: 'not bencoded' }
  }
}

function withoutReason({ 'failure reason': _, ...rest }: Record<string, unknown>): Members {
  return rest
}

function textOf(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString('latin1')
}

/** Peers in one order, because both trackers have an order of their own. */
function readPeers(decoded: Members, name: string, bytes: number): Members {
  const peers = decoded[name]
  if (peers instanceof Uint8Array) {
    const hex = Buffer.from(peers).toString('hex')
    return { [name]: (hex.match(new RegExp(`.{${2 * bytes}}`, 'g')) ?? []).sort() }
  }
  if (!Array.isArray(peers)) return {}
  const list = peers as { ip: Uint8Array; port: number; 'peer id'?: Uint8Array }[]
  return {
    [name]: list.map(({ ip, port }) => `${textOf(ip)}:${port}`).sort(),
    'peer ids': list.map(peer => peer['peer id'] && textOf(peer['peer id'])).sort(),
  }
}

function readFiles(files: unknown): Members {
  if (files === undefined) return {}
  const entries = Object.entries(files as Record<string, Members>)
  return { files: entries.map(([, counts]) => JSON.stringify(counts)).sort() }
}

async function both({ original, muster }: Pair, request: Sent, comparison: SideBySide) {
  const wanted = await ask(original, request)
  comparison.compare(request.what, wanted, await ask(muster, request))
}

/** A seeder and a leecher join, the odd client announces, a leecher asks, and a scrape follows. */
async function sendAround(pair: Pair, comparison: SideBySide, torrent: number, sent: Sent) {
  const usual = (what: string, client: number, left: number): Sent => {
    const query = announceQuery(torrent, client, `&left=${left}&compact=1`)
    return { ...sent, method: 'GET', headers: '', what, target: `/announce?${query}` }
  }
  await both(pair, usual('seeder', 1, 0), comparison)
  await both(pair, usual('leecher', 2, 5), comparison)
  await both(pair, sent, comparison)
  await both(pair, usual(`after ${sent.what}`, 4, 5), comparison)
  const hash = percentEncode(hashOf(torrent))
  const scrape = { ...sent, method: 'GET', headers: '', target: `/scrape?info_hash=${hash}` }
  await both(pair, { ...scrape, what: `scrape after ${sent.what}` }, comparison)
}

t.test('announces and scrapes are answered as by Torrust-Actix', { skip }, async t => {
  const comparison = new SideBySide()
  const pair = await startPair(t)
  let torrent = 0
  for (const is6 of [false, true]) {
    for (const { what, query } of ODD_ANNOUNCES) {
      const target = `/announce?${query(fieldsOf(++torrent, 3))}`
      await sendAround(pair, comparison, torrent, { what, target, is6 })
    }
  }
  for (const changes of combinations()) {
    const target = `/announce?${announceQuery(++torrent, 3, changes)}`
    await sendAround(pair, comparison, torrent, { what: changes, target })
  }
  for (const request of scrapes()) await both(pair, request, comparison)
  for (const request of requests()) await both(pair, request, comparison)
  comparison.report(t, ANNOUNCE_DIFFERENCES)
})

/** Scrapes with odd parameters. The torrents 1 and 2 exist. */
function* scrapes(): Generator<Sent> {
  const hash = (n: number) => `info_hash=${percentEncode(hashOf(n))}`
  const queries = [
    '',
    'info_hash',
    'info_hash=',
    'info_hash=short',
    `${hash(1)}%00`,
    hash(1),
    hash(9999),
    hash(1).toUpperCase(),
    `${hash(1)}&${hash(2)}`,
    `${hash(1)}&${hash(1)}`,
    `${hash(1)}&info_hash=short`,
    `${hash(1)}&x=y`,
    `&${hash(1)}`,
    Array.from({ length: 100 }, (_, n) => hash(9000 + n)).join('&'),
    Array.from({ length: 120 }, (_, n) => hash(9000 + n)).join('&'),
  ]
  for (const [n, query] of queries.entries()) {
    const target = query === '' ? '/scrape' : `/scrape?${query}`
    yield { what: `scrape ${n} ${query.slice(0, 20)}`, target }
  }
}

/** Other paths, methods and headers. */
function* requests(): Generator<Sent> {
  const query = `?${announceQuery(1, 5, '&left=5&compact=1')}`
  const paths = ['/', '/announce/', '/Announce', '//announce', '/announce.php', '/%61nnounce']
  const more = ['/x', '/scrape/', '/favicon.ico', '/announce/a/b/c', '/a/b/c/announce', '/stats']
  for (const path of [...paths, ...more]) yield { what: `path ${path}`, target: path + query }
  yield { what: 'one part before announce', target: `/${'1'.repeat(40)}/announce${query}` }
  yield {
    what: 'two parts before announce',
    target: `/${'1'.repeat(40)}/${'2'.repeat(40)}announce${query}`,
  }
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
    yield { what: `method ${method}`, method, target: `/announce${query}` }
    yield { what: `method ${method} of a scrape`, method, target: '/scrape' }
  }
  const headers = [
    'origin: http://example.org\r\n',
    'x-real-ip: 10.9.8.7\r\n',
    'x-forwarded-for: 10.9.8.7\r\n',
    'accept-encoding: gzip\r\n',
    'user-agent: \r\n',
    'content-type: application/json\r\n',
    `authorization: Bearer ${TOKEN}\r\n`,
  ]
  for (const header of headers) {
    yield { what: `header ${header.trim()}`, target: `/announce${query}`, headers: header }
  }
  const preflight = 'origin: http://example.org\r\naccess-control-request-method: GET\r\n'
  yield { what: 'preflight', method: 'OPTIONS', target: '/announce', headers: preflight }
  yield { what: 'HTTP/1.0', version: '1.0', target: `/announce${query}`, patience: 3000 }
}
