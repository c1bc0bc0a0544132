import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { announce, hex, startWithApi } from '../fixtures/admin-client.ts'
import {
  type CacheServer,
  hasProgram,
  startMemcached,
  startRedis,
} from '../fixtures/cache-servers.ts'
import { getBencoded } from '../fixtures/http-client.ts'
import type { Tracker } from '../fixtures/start-tracker.ts'
import { askRaw } from './fixtures/raw-request.ts'

const WAIT_MILLIS_MAX = 60_000
const TOKEN = 'a token of the tests, long enough to be one'

/** Reads as the scripts in Torrust-Actix's README do. Undefined for an absent entry. */
async function readRedis(server: CacheServer, hash: string, fields: string) {
  const names = fields.split(' ')
  const answer = await server.ask(
    `HMGET tracker:t:${hash} ${fields}`,
    text => text.split('\r\n').length > 2 * names.length + 1 || text.includes('$-1'),
  )
  const values = answer.split('\r\n').filter(line => /^\d+$/.test(line))
  return values.length === names.length ? values.join(':') : undefined
}

async function readMemcached(server: CacheServer, hash: string) {
  const answer = await server.ask(`get tracker:t:${hash}`, text => text.endsWith('END\r\n'))
  return answer.split('\r\n')[1] || undefined
}

async function until(t: Test, what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MILLIS_MAX
  while (!(await holds())) {
    if (Date.now() > end) {
      t.fail(what)
      return
    }
    await sleep(100)
  }
  t.pass(what)
}

/** Counts of torrents in the cache as text: seeders, leechers, completed. */
async function cachedCounts(
  read: (n: number) => Promise<string | undefined>,
  torrents: readonly number[],
  split: boolean,
): Promise<string> {
  const entries: string[] = []
  for (const n of torrents) {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = ((await read(n)) ?? '')
      .split(':')
      .map(Number)
    entries.push(`${hex(n)} ${split ? [a + b + c, d + e + f, g] : [a, b, c]}`)
  }
  return entries.sort().join('\n')
}

/** The same text from an answer of `/api/torrents`. */
function countsOf(answer: Record<string, unknown>): string {
  type Counts = { seeds: unknown[]; peers: unknown[]; completed: number }
  return Object.entries(answer['torrents'] as Record<string, Counts>)
    .map(([hash, { seeds, peers, completed }]) => {
      return `${hash} ${[seeds.length, peers.length, completed]}`
    })
    .sort()
    .join('\n')
}

/** Announces, one after the other, until `isUp` is false. */
async function announceWhile(
  isUp: { readonly value: boolean },
  send: () => Promise<Record<string, unknown>>,
): Promise<{ sent: number; answered: number }> {
  const counts = { sent: 0, answered: 0 }
  while (isUp.value || counts.sent <= 10) {
    counts.sent++
    const answer = await send().catch(() => ({}))
    if ('interval' in answer) counts.answered++
    await sleep(20)
  }
  return counts
}

async function metric(tracker: Tracker, name: string): Promise<number> {
  const url = `http://127.0.0.1:${tracker.port('api')}/metrics`
  const headers = { authorization: `Bearer ${TOKEN}` }
  const text = await (await fetch(url, { headers })).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

const KINDS = [
  {
    name: 'redis',
    program: 'redis-server',
    split: false,
    start: (t: Test) => startRedis(t, ['--requirepass', 'a%b']),
    address: (port: number) => `:a%25b@127.0.0.1:${port}/0`,
    login: 'AUTH a%b',
  },
  {
    name: 'memcache',
    program: 'memcached',
    split: true,
    start: startMemcached,
    address: (port: number) => `127.0.0.1:${port}`,
    login: '',
  },
] as const

for (const { name, program, split, start, address, login } of KINDS) {
  const skip = hasProgram(program) ? false : `${program} is not installed`
  t.test(`counts for websites in ${name}, split_peers = ${split}`, { skip }, async t => {
    const server = await start(t)
    const read = async (n: number) => {
      if (name === 'memcache') return readMemcached(server, hex(n)).catch(() => undefined)
      const withLogin: CacheServer = {
        ...server,
        ask: async (line, isWhole) => {
          const answer = await server.ask(`${login}\r\n${line}`, text => isWhole(text.slice(5)))
          return answer.replace(/^\+OK\r\n/, '')
        },
      }
      return readRedis(withLogin, hex(n), 's p c').catch(() => undefined)
    }
    const { admin, tracker } = await startWithApi(t, {
      cache: {
        enabled: true,
        engine: name,
        address: address(server.port),
        ttl: 4,
        split_peers: split,
      },
      database: { persistent: false, persistent_interval: 1 },
    })
    const send = (n: number, client: object) =>
      getBencoded(tracker.url(), announce('/announce', n, client))
    await send(1, { left: 0, event: 'started' })
    await admin.call('POST', `/api/torrent/${hex(2)}/9`)
    await until(t, 'an announced torrent is written', async () => {
      return (await read(1)) === (split ? '1:0:0:0:0:0:0' : '1:0:0')
    })
    await until(t, 'a torrent of the API is written', async () => {
      return (await read(2)) === (split ? '0:0:0:0:0:0:9' : '0:0:9')
    })
    // The time to live is four seconds, so the entry has expired unless it was refreshed.
    const before = await metric(tracker, 'muster_cache_torrents_total')
    await until(t, 'torrents with peers are refreshed', async () => {
      return (await metric(tracker, 'muster_cache_torrents_total')) > before + 4
    })
    t.equal(await read(1), split ? '1:0:0:0:0:0:0' : '1:0:0')
    const { json } = await admin.call('GET', `/api/torrent/${hex(1)}`)
    t.match(json, { seeds: { length: 1 }, peers: { length: 0 }, completed: 0 })
    for (const client of [4, 5, 6]) await send(4, { left: client === 4 ? 0 : 9, port: client })
    await until(t, 'entries agree with /api/torrents', async () => {
      // fetch() does not send a body with GET.
      const { body } = await askRaw(tracker.port('api'), {
        method: 'GET',
        target: '/api/torrents',
        headers: `authorization: Bearer ${TOKEN}\r\n`,
        body: JSON.stringify([1, 2, 4].map(hex)),
      })
      const answer = JSON.parse(body.toString()) as Record<string, unknown>
      return (await cachedCounts(read, [1, 2, 4], split)) === countsOf(answer)
    })
    await admin.call('DELETE', `/api/torrent/${hex(1)}`)
    await until(t, 'a removed torrent is removed', async () => (await read(1)) === undefined)

    const isUp = { value: true }
    const load = announceWhile(isUp, () => send(3, { left: 5, event: 'started' }))
    await server.stop()
    await until(t, 'the failure is counted', async () => {
      return (await metric(tracker, 'muster_cache_up')) === 0
    })
    isUp.value = false
    const { sent, answered } = await load
    t.ok(sent > 10, 'clients announce while the cache is killed')
    t.equal(answered, sent, `all of ${sent} announces are answered`)
    await server.start()
    await until(t, 'everything is written once the cache is back', async () => {
      return (await read(3)) === (split ? '0:0:0:1:0:0:0' : '0:1:0')
    })
    await tracker.line(({ msg }) => msg === 'the cache is reachable again')
    server.signal('SIGSTOP')
    t.ok('interval' in (await send(3, { left: 5 })), 'a cache that hangs delays no announce')
    t.equal(await tracker.stop(), 0, 'nor the end of the tracker')
    server.signal('SIGCONT')
  })
}
