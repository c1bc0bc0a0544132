import type { Config } from '../config/config.ts'
import { openMemcached } from './memcached.ts'
import { CountPublisher, type PublisherOptions } from './publisher.ts'
import { openRedis } from './redis.ts'

/**
 * Starts to write counts to the cache of the configuration; undefined if it is off. A cache that is
 * not reachable does not stop the start.
 */
export function startCountPublisher(
  { address, enabled, engine: kind, prefix, split_peers, ttl }: Config['cache'],
  options: Pick<PublisherOptions, 'engine' | 'interval' | 'nowSeconds' | 'log'>,
): CountPublisher | undefined {
  if (!enabled) return undefined
  const settings = { address, prefix, ttl }
  const store = kind === 'redis' ? openRedis(settings) : openMemcached(settings)
  return new CountPublisher({ ...options, store, ttl, isSplit: split_peers })
}
