import type { Config } from '../config/config.ts'
import { CountPublisher, type PublisherOptions } from './publisher.ts'

/**
 * Starts to write counts to the cache of the configuration; undefined if it is off. A cache that is
 * not reachable does not stop the start.
 */
export async function startCountPublisher(
  { address, enabled, engine: kind, prefix, split_peers, ttl }: Config['cache'],
  options: Pick<PublisherOptions, 'engine' | 'interval' | 'nowSeconds' | 'log'>,
): Promise<CountPublisher | undefined> {
  if (!enabled) return undefined
  const settings = { address, prefix, ttl }
  // Imported here, because few trackers have a cache and the drivers are slow to load.
  const store =
    kind === 'redis'
      ? (await import('./redis.ts')).openRedis(settings)
      : (await import('./memcached.ts')).openMemcached(settings)
  return new CountPublisher({ ...options, store, ttl, isSplit: split_peers })
}
