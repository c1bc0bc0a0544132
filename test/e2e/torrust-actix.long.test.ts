import { spawnSync } from 'node:child_process'
import bencode from 'bencode'
import t, { type Test } from 'tap'
import { TOKEN } from '../fixtures/admin-client.ts'
import { query } from '../fixtures/http-client.ts'
import { LOOPBACK, startTracker } from '../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../fixtures/tracker-client.ts'
import { STEPS } from '../frontends/api/fixtures/torrust-actix-steps.ts'
import { type Compared, startOriginal } from './fixtures/original.ts'
import { openUdpClient } from './fixtures/udp-client.ts'

/**
 * The same requests to Torrust-Actix and to muster in compatibility mode. Differences that
 * docs/migration-from-torrust-actix.md explains are removed before the answers are compared.
 */

const isInstalled = spawnSync('torrust-actix', ['--help']).error === undefined
const skip = isInstalled ? false : 'torrust-actix is not on PATH'

async function startBoth(t: Test): Promise<{ original: Compared; muster: Compared }> {
  const original = await startOriginal(t, {
    api_key: TOKEN,
    whitelist_enabled: false,
    persistent: false,
  })
  const tracker = await startTracker(t, {
    ...LOOPBACK,
    api_server: [{ bind_address: '127.0.0.1:0', compatibility: 'torrust-actix' }],
    tracker_config: {
      api_key: TOKEN,
      failure_texts: 'torrust-actix',
      request_interval_jitter: 0,
    },
    database: { persistent: false },
  })
  const http = tracker.port('http', '127.0.0.1')
  const udp = tracker.port('udp', '127.0.0.1')
  return { original, muster: { http, udp, api: tracker.port('api') } }
}

async function callApi({ api }: Compared, method: string, path: string, body: unknown) {
  // fetch refuses a GET with a body, which the API of Torrust-Actix has.
  const { request } = await import('node:http')
  const payload = body === undefined ? undefined : JSON.stringify(body)
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(
      {
        ...{ host: '127.0.0.1', port: api, method, path },
        headers: {
          authorization: `Bearer ${TOKEN}`,
          ...(payload !== undefined && { 'content-length': Buffer.byteLength(payload) }),
        },
      },
      async answer => {
        const chunks: Buffer[] = []
        for await (const chunk of answer) chunks.push(chunk as Buffer)
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
      },
    )
    sent.on('error', reject)
    sent.end(payload)
  })
}

/** Parses JSON, and rounds times of peers and torrents away. */
function comparable(text: string): unknown {
  try {
    return JSON.parse(text, (key, value) => (key === 'updated' && value > 1e12 ? 'now' : value))
  } catch {
    return 'not JSON'
  }
}

t.test('the API answers as Torrust-Actix does', { skip }, async t => {
  const { muster, original } = await startBoth(t)
  for (const [method, path, body] of STEPS) {
    const name = `${method} ${path} ${JSON.stringify(body) ?? ''}`
    const wanted = await callApi(original, method, path, body)
    const got = await callApi(muster, method, path, body)
    t.equal(got.status, wanted.status, name)
    // A 304 does not have a body, and a malformed number in a path has the text of a framework.
    if (wanted.status === 304 || path.endsWith('/x')) continue
    t.same(comparable(got.text), comparable(wanted.text), name)
  }
  const fields = async (tracker: Compared) =>
    Object.keys(JSON.parse((await callApi(tracker, 'GET', '/stats', undefined)).text) as object)
  const known = new Set(await fields(muster))
  t.same(
    (await fields(original)).filter(name => !known.has(name)),
    [],
    'every field of /stats',
  )
})

type Announce = Readonly<Record<string, string | number>>

/** Every combination of these parameters. */
function* announces(): Generator<Announce> {
  for (const compact of [0, 1])
    for (const left of [0, 7])
      for (const event of ['', 'started', 'completed', 'stopped'])
        for (const uploaded of [0, 1000, 'x'])
          for (const more of [{}, { numwant: 0 }, { numwant: 5 }, { no_peer_id: 1 }])
            yield { compact, left, event, uploaded, downloaded: 0, ...more }
}

/** Queries that are refused. */
const REFUSED = [
  '',
  '?info_hash=short&peer_id=short&port=1',
  `?info_hash=${'a'.repeat(20)}`,
  `?info_hash=${'a'.repeat(20)}&peer_id=${'b'.repeat(20)}`,
  `?info_hash=${'a'.repeat(20)}&peer_id=${'b'.repeat(20)}&port=x`,
  `?info_hash=${'a'.repeat(20)}&peer_id=${'b'.repeat(20)}&port=1&rtctorrent=1`,
]

/** Members that the guide explains: muster does not have the first, and adds the others. */
const EXPLAINED = ['rtc interval', 'external ip', 'retry in', 'flags']

async function announceTo({ http }: Compared, target: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`http://127.0.0.1:${http}${target}`)
  const decoded = bencode.decode(Buffer.from(await answer.arrayBuffer()))
  const members = decoded as Record<string, unknown>
  for (const name of EXPLAINED) delete members[name]
  // The intervals of a failure are those of BEP 31 in muster.
  return 'failure reason' in members ? { failure: String(members['failure reason']) } : members
}

/** Both trackers hand out peers in an order of their own. */
function sorted(answer: Record<string, unknown>): unknown {
  const { peers } = answer
  if (peers instanceof Uint8Array) {
    const bytes = Buffer.from(peers).toString('hex')
    return { ...answer, peers: (bytes.match(/.{12}/g) ?? []).sort() }
  }
  // A peer id is 40 hexadecimal digits in Torrust-Actix, and 20 bytes in muster.
  const list = peers as { ip: Uint8Array; port: number }[] | undefined
  return { ...answer, peers: list?.map(({ ip, port }) => `${Buffer.from(ip)}:${port}`).sort() }
}

t.test('announces and scrapes are answered as by Torrust-Actix', { skip }, async t => {
  const { muster, original } = await startBoth(t)
  let n = 0
  for (const fields of announces()) {
    const { peerId, port } = clientOf(n++ % 9)
    const target = `/announce${query({ info_hash: hashOf(n % 3), peer_id: peerId, port, ...fields })}`
    const wanted = await announceTo(original, target)
    const got = await announceTo(muster, target)
    // Torrust-Actix ignores numwant and no_peer_id, and counts each completed that a peer sends.
    const isCut = 'numwant' in fields
    const plain = (answer: Record<string, unknown>) => {
      const { downloaded: _, ...rest } = answer
      return sorted(isCut ? { ...rest, peers: undefined } : rest)
    }
    t.same(plain(got), plain(wanted), target)
  }
  for (const search of REFUSED) {
    for (const path of ['/announce', '/scrape']) {
      t.same(
        await announceTo(muster, path + search),
        await announceTo(original, path + search),
        path + search,
      )
    }
  }
})

t.test('UDP announces are answered as by Torrust-Actix', { skip }, async t => {
  const { muster, original } = await startBoth(t)
  const clients = await Promise.all(
    [original, muster].map(({ udp }) => openUdpClient(t, '127.0.0.1', udp)),
  )
  for (let n = 0; n < 60; n++) {
    const { peerId, port } = clientOf(n % 7)
    const fields = { infoHash: hashOf(n % 3), peerId, port, left: BigInt(n % 2) }
    const [wanted, got] = await Promise.all(clients.map(client => client.announce(fields)))
    t.match(got, { interval: wanted?.interval, leechers: wanted?.leechers }, `announce ${n}`)
    t.equal(got?.seeders, wanted?.seeders, `announce ${n}`)
  }
})
