import { Redis } from 'ioredis'
import type { Receiver } from './outbox.ts'

export type RedisOptions = {
  readonly url: string
  readonly stream: string
  /** Length that the stream is trimmed to; 0 for none. */
  readonly length: number
  readonly timeoutMillis: number
}

/** Appends each line to a stream. A connection that failed is replaced by a new one. */
export function createRedis({ url, stream, length, timeoutMillis }: RedisOptions): Receiver {
  let client: Redis | undefined

  async function open(): Promise<Redis> {
    if (client?.status === 'ready') return client
    client?.disconnect()
    client = new Redis(url, {
      lazyConnect: true,
      connectTimeout: timeoutMillis,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      // The outbox tries again, with a new connection.
      retryStrategy: () => null,
      connectionName: 'muster',
    })
    // Errors reject the calls; without a listener they would be printed too.
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  return {
    name: 'redis',
    async send(lines, signal) {
      const drop = () => client?.disconnect()
      signal.addEventListener('abort', drop, { once: true })
      try {
        const redis = await open()
        const pipeline = redis.pipeline()
        for (const line of lines) {
          if (length > 0) pipeline.xadd(stream, 'MAXLEN', '~', length, '*', 'event', line)
          else pipeline.xadd(stream, '*', 'event', line)
        }
        const results = await pipeline.exec()
        const error = results?.find(([failure]) => failure)?.[0]
        if (error) throw error
      } catch (error) {
        drop()
        throw error
      } finally {
        signal.removeEventListener('abort', drop)
      }
    },
    async close() {
      client?.disconnect()
    },
  }
}
