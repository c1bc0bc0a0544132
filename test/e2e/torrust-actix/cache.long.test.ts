import { spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import {
  type CacheServer,
  hasProgram,
  startMemcached,
  startRedis,
} from '../../fixtures/cache-servers.ts'
import { query } from '../../fixtures/http-client.ts'
import { LOOPBACK, startTracker, temporaryFolder } from '../../fixtures/start-tracker.ts'
import { clientOf, hashOf } from '../../fixtures/tracker-client.ts'
import {
  type Compared,
  createOriginalConfig,
  launchOriginal,
  skipWithoutOriginal,
  TOKEN,
} from '../fixtures/original.ts'
import { askRaw } from '../fixtures/raw-request.ts'

/** For the same announces, Torrust-Actix and muster write the same entries to two cache servers. */

const TTL_SECONDS = 300
const TORRENTS = [1, 2, 3, 4]
const WAIT_MILLIS_MAX = 60_000

type Engine = 'redis' | 'memcache'
type Entries = Record<string, unknown>

/** A tracker under comparison: the cache, and the ports of its HTTP and API servers. */
type Side = { readonly cache: CacheServer; readonly tracker: Omit<Compared, 'udp' | 'udp6'> }

const settings = (engine: Engine, cache: CacheServer, split: boolean) => ({
  enabled: true,
  engine,
  address: `127.0.0.1:${cache.port}`,
  prefix: 'site:',
  ttl: TTL_SECONDS,
  split_peers: split,
})

async function originalSide(t: Test, engine: Engine, cache: CacheServer, split: boolean) {
  const folder = temporaryFolder(t)
  const values = { api_key: TOKEN, persistent: true, persistent_interval: 1 }
  const config = await createOriginalConfig(folder, values)
  const keys = Object.entries(settings(engine, cache, split))
  const lines = keys.map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  spawnSync('torrust-actix', ['--create-database'], { cwd: folder })
  appendFileSync(join(folder, 'config.toml'), `\n[cache]\n${lines.join('\n')}\n`)
  return { cache, tracker: await launchOriginal(t, folder, config) }
}

async function musterSide(t: Test, engine: Engine, cache: CacheServer, split: boolean) {
  const started = await startTracker(t, {
    ...LOOPBACK,
    api_server: [{ bind_address: '127.0.0.1:0' }],
    tracker_config: { api_key: TOKEN },
    database: { persistent_interval: 1 },
    cache: settings(engine, cache, split),
  })
  const http = started.port('http', '127.0.0.1')
  const tracker = { http, http6: started.port('http', '::1'), api: started.port('api') }
  return { cache, tracker }
}

async function announce(
  { tracker }: Side,
  is6: boolean,
  torrent: number,
  n: number,
  fields: object,
) {
  const { peerId, port } = clientOf(n)
  const all = { info_hash: hashOf(torrent), peer_id: peerId, port, compact: 1, ...fields }
  const target = `/announce${query(all)}`
  const host = is6 ? '::1' : '127.0.0.1'
  const { body } = await askRaw(is6 ? tracker.http6 : tracker.http, { target, host })
  if (!body.includes('8:interval')) throw new Error(body.toString('latin1'))
}

/** Both families, seeders, leechers, a download and a peer that stops. */
async function use(side: Side): Promise<void> {
  for (const is6 of [false, true]) {
    await announce(side, is6, 1, 1, { left: 0, event: 'started' })
    await announce(side, is6, 1, 2, { left: 9, event: 'started' })
    await announce(side, is6, 1, 3, { left: 9, event: 'started' })
    await announce(side, is6, 2, 4, { left: 9, event: 'started' })
  }
  await announce(side, false, 2, 4, { left: 0, event: 'completed' })
  await announce(side, false, 3, 5, { left: 9, event: 'started' })
  await announce(side, false, 3, 6, { left: 9, event: 'started' })
  await announce(side, false, 3, 6, { left: 9, event: 'stopped' })
}

async function readRedis(port: number): Promise<Entries> {
  const redis = new Redis(port, '127.0.0.1')
  try {
    const entries: Entries = {}
    for (const name of (await redis.keys('*')).sort()) {
      const left = await redis.ttl(name)
      const hasTtl = left > 0 && left <= TTL_SECONDS
      entries[name] = { ...(await redis.hgetall(name)), hasTtl }
    }
    return entries
  } finally {
    redis.disconnect()
  }
}

async function readMemcached(cache: CacheServer): Promise<Entries> {
  const entries: Entries = {}
  for (const torrent of TORRENTS) {
    const name = `site:t:${hashOf(torrent).toString('hex')}`
    const answer = await cache.ask(`get ${name}`, text => text.endsWith('END\r\n'))
    const [head = '', value] = answer.split('\r\n')
    // The flags of an entry are those of the client library.
    if (head.startsWith('VALUE')) entries[name] = value
  }
  return entries
}

/** Polls both caches until their entries are the same, or until it has waited long enough. */
async function compare(t: Test, engine: Engine, original: Side, muster: Side, wanted: number) {
  const read = ({ cache }: Side) =>
    engine === 'redis' ? readRedis(cache.port) : readMemcached(cache)
  const end = Date.now() + WAIT_MILLIS_MAX
  for (;;) {
    const [theirs, ours] = [await read(original), await read(muster)]
    const isSame = isDeepStrictEqual({ ...ours }, { ...theirs })
    if ((isSame && Object.keys(theirs).length === wanted) || Date.now() > end) {
      t.same(ours, theirs, 'the same entries and fields')
      t.equal(Object.keys(theirs).length, wanted, JSON.stringify(theirs))
      return
    }
    await sleep(200)
  }
}

async function remove({ tracker }: Side, torrent: number): Promise<void> {
  await askRaw(tracker.api, {
    method: 'DELETE',
    target: `/api/torrent/${hashOf(torrent).toString('hex')}`,
    headers: `authorization: Bearer ${TOKEN}\r\n`,
  })
}

for (const [engine, program, start] of [
  ['redis', 'redis-server', (t: Test) => startRedis(t)],
  ['memcache', 'memcached', startMemcached],
] as const) {
  const skip = skipWithoutOriginal || (!hasProgram(program) && `${program} is not installed`)
  for (const split of [false, true]) {
    t.test(
      `${engine} has the entries of Torrust-Actix, split_peers = ${split}`,
      { skip },
      async t => {
        const original = await originalSide(t, engine, await start(t), split)
        const muster = await musterSide(t, engine, await start(t), split)
        for (const side of [original, muster]) await use(side)
        await compare(t, engine, original, muster, 3)
        for (const side of [original, muster]) await remove(side, 2)
        await compare(t, engine, original, muster, 2)
      },
    )
  }
}
