import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import type { Receiver } from './outbox.ts'

export type NatsOptions = {
  readonly url: string
  readonly subject: string
  /** Whether a stream has to store each event. */
  readonly jetstream: boolean
  readonly timeoutMillis: number
}

/** Publishes each line to a subject. A connection that failed is replaced by a new one. */
export function createNats(options: NatsOptions): Receiver {
  const { jetstream, subject, timeoutMillis } = options
  let connection: NatsConnection | undefined

  async function open(): Promise<NatsConnection> {
    if (connection && !connection.isClosed()) return connection
    connection = await connect(connectionOptions(options))
    return connection
  }

  async function close(): Promise<void> {
    const last = connection
    connection = undefined
    await last?.close()
  }

  return {
    name: 'nats',
    async send(lines, signal) {
      const nats = await open()
      const drop = () => void close().catch(() => undefined)
      signal.addEventListener('abort', drop, { once: true })
      try {
        if (jetstream) {
          await Promise.all(lines.map(line => store(nats, subject, line, timeoutMillis)))
          return
        }
        for (const line of lines) nats.publish(subject, line)
        // The server answers the PING after the messages once it has processed them.
        await nats.flush()
      } catch (error) {
        drop()
        throw error
      } finally {
        signal.removeEventListener('abort', drop)
      }
    },
    close,
  }
}

function connectionOptions({ url, timeoutMillis }: NatsOptions) {
  const { host, protocol, username, password } = new URL(url)
  const user = decodeURIComponent(username)
  const secret = decodeURIComponent(password)
  return {
    servers: host,
    name: 'muster',
    timeout: timeoutMillis,
    // The outbox tries again, with a new connection.
    reconnect: false,
    ...(protocol === 'tls:' && { tls: {} }),
    // In a URL without a password, the user is a token.
    ...(user !== '' && (secret === '' ? { token: user } : { user, pass: secret })),
  }
}

/**
 * Publishes a line to JetStream and waits for its acknowledgement. The id makes it ignore repeats.
 */
async function store(
  nats: NatsConnection,
  subject: string,
  line: string,
  timeout: number,
): Promise<void> {
  const fields = headers()
  fields.set('Nats-Msg-Id', (JSON.parse(line) as { id: string }).id)
  const answer = await nats.request(subject, line, { timeout, headers: fields })
  const { error, stream } = answer.json<{ error?: { description?: string }; stream?: string }>()
  if (error) throw new Error(`JetStream: ${error.description ?? 'error'}`)
  if (stream === undefined) throw new Error('no JetStream stream has stored the event')
}
