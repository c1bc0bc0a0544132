import { readFileSync } from 'node:fs'
import { type ChainableCommander, Redis, type RedisOptions } from 'ioredis'
import { parseCacheAddress } from '../config/cache-address.ts'
import {
  CACHE_TIMEOUT_MILLIS,
  type CountStore,
  entryName,
  fieldsOf,
  type StoreSettings,
} from './store.ts'

const DEFAULT_PORT = 6379

/**
 * A Redis or Valkey server. Each torrent is a hash. The connection is opened by the first call, and
 * again by the first call after it was lost.
 */
export function openRedis({ address, prefix, ttl }: StoreSettings): CountStore {
  const redis = new Redis(optionsOf(address))
  // Every call rejects by itself; without a listener, ioredis prints each error.
  redis.on('error', () => undefined)

  async function run(fill: (pipeline: ChainableCommander) => void): Promise<void> {
    if (redis.status !== 'ready') await redis.connect()
    const pipeline = redis.pipeline()
    fill(pipeline)
    try {
      const failed = (await pipeline.exec())?.find(([error]) => error)
      if (failed?.[0]) throw failed[0]
    } catch (error) {
      // A connection to a server that hangs must not be used again.
      redis.disconnect()
      throw error
    }
  }

  return {
    write: list =>
      run(pipeline => {
        for (const counts of list) {
          const name = entryName(prefix, counts.hash)
          pipeline.hset(name, ...fieldsOf(counts).flat())
          if (ttl > 0) pipeline.expire(name, ttl)
        }
      }),
    remove: hashes =>
      run(pipeline => {
        for (const hash of hashes) pipeline.del(entryName(prefix, hash))
      }),
    close: () => redis.disconnect(),
  }
}

/** `rediss://` encrypts the connection; `?ca=FILE` is the certificate that signed the server's. */
function optionsOf(address: string) {
  const url = parseCacheAddress(address)
  if (!url) throw new Error('not the address of a Redis server')
  const database = Number(url.pathname.slice(1))
  const ca = url.searchParams.get('ca')
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || DEFAULT_PORT,
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    ...(database > 0 && { db: database }),
    ...(url.protocol === 'rediss:' && { tls: ca ? { ca: readFileSync(ca) } : {} }),
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: true,
    maxRetriesPerRequest: 0,
    // The publisher decides when to connect again.
    retryStrategy: () => null,
    connectTimeout: CACHE_TIMEOUT_MILLIS,
    commandTimeout: CACHE_TIMEOUT_MILLIS,
  } satisfies RedisOptions
}
