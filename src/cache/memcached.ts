import { Client } from 'memjs'
import { parseCacheAddress } from '../config/cache-address.ts'
import {
  CACHE_TIMEOUT_MILLIS,
  type CountStore,
  entryName,
  fieldsOf,
  type StoreSettings,
} from './store.ts'

const DEFAULT_PORT = 11211

/** A Memcached server. The value of a torrent is its counts, joined by colons. */
export function openMemcached({ address, prefix, ttl }: StoreSettings): CountStore {
  const url = parseCacheAddress(address)
  if (!url) throw new Error('not the address of a Memcached server')
  const seconds = CACHE_TIMEOUT_MILLIS / 1000
  const client = Client.create(`${url.hostname}:${url.port || DEFAULT_PORT}`, {
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    retries: 1,
    timeout: seconds,
    conntimeout: seconds,
    keepAlive: true,
    // Every call rejects by itself; the default prints each error.
    logger: { log: () => undefined },
  })
  return {
    async write(list) {
      await Promise.all(
        list.map(async counts => {
          const value = fieldsOf(counts)
            .map(([, count]) => count)
            .join(':')
          const name = entryName(prefix, counts.hash)
          const isStored = await client.set(name, value, { expires: ttl })
          if (!isStored) throw new Error('the Memcached server did not store an entry')
        }),
      )
    },
    async remove(hashes) {
      await Promise.all(hashes.map(hash => client.delete(entryName(prefix, hash))))
    },
    close: () => client.close(),
  }
}
