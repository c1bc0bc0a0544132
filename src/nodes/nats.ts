import { readFileSync } from 'node:fs'
import type { ConnectionOptions, NatsConnection, Status } from '@nats-io/transport-node'
import { connect } from '@nats-io/transport-node'
import type { Bus, BusEvents } from './bus.ts'

export type NatsOptions = {
  /** Addresses, nats:// or tls://. */
  readonly servers: readonly string[]
  /** Shown in the server's list of connections. */
  readonly name: string
  /** "" where the servers want none. */
  readonly user: string
  readonly password: string
  /** Files in PEM; "" for none. */
  readonly tlsCa: string
  readonly tlsCert: string
  readonly tlsKey: string
}

/** A hung server is noticed after three seconds; the defaults of the client are minutes. */
const TIMES = { timeout: 1000, reconnectTimeWait: 100, pingInterval: 1000, maxPingOut: 2 }

/**
 * NATS core. Connects in the background and for ever: a node serves its clients whether or not a
 * server can be reached.
 */
export function connectNats(options: NatsOptions, events: BusEvents): Bus {
  return new NatsBus(options, events)
}

class NatsBus implements Bus {
  readonly #events: BusEvents
  readonly #setUp: ((connection: NatsConnection) => void)[] = []
  #connection: NatsConnection | undefined
  #isUp = false
  #isClosed = false

  constructor(options: NatsOptions, events: BusEvents) {
    this.#events = events
    void this.#connect(connectionOptions(options))
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Connects again even where the client gives up, such as after a password was changed. */
  async #connect(options: ConnectionOptions): Promise<void> {
    let logged = ''
    while (!this.#isClosed) {
      let connection: NatsConnection
      try {
        connection = await connect(options)
      } catch (error) {
        const reason = (error as Error).message
        if (reason !== logged) this.#events.down(reason)
        logged = reason
        await sleep(RETRY_MILLIS)
        continue
      }
      logged = ''
      await this.#use(connection)
    }
  }

  /** Uses a connection until it is closed. The client itself replaces its server meanwhile. */
  async #use(connection: NatsConnection): Promise<void> {
    if (this.#isClosed) return connection.close()
    this.#connection = connection
    for (const setUp of this.#setUp) setUp(connection)
    this.#isUp = true
    this.#events.up(connection.getServer())
    for await (const status of connection.status()) this.#note(status)
    this.#isUp = false
    this.#connection = undefined
  }

  #note(status: Status): void {
    if (status.type === 'disconnect' && this.#isUp) {
      this.#isUp = false
      if (!this.#isClosed) this.#events.down(`the connection to ${status.server} is lost`)
    } else if (status.type === 'reconnect') {
      this.#isUp = true
      this.#events.up(status.server)
    } else if (status.type === 'error') this.#events.trouble(status.error.message)
    else if (status.type === 'slowConsumer')
      this.#events.trouble('messages arrive faster than this node reads')
  }

  publish(subject: string, data: Uint8Array): boolean {
    if (!this.#isUp || !this.#connection) return false
    this.#connection.publish(subject, data)
    return true
  }

  subscribe(subject: string, receive: (subject: string, data: Buffer) => void): void {
    this.#whenConnected(connection => {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error) this.#events.trouble(`${subject}: ${error.message}`)
          else receive(message.subject, bufferOf(message.data))
        },
      })
    })
  }

  async request(subject: string, data: Uint8Array, limitMillis: number): Promise<Buffer> {
    if (!this.#isUp || !this.#connection) throw new Error('no server is connected')
    const reply = await this.#connection.request(subject, data, { timeout: limitMillis })
    return bufferOf(reply.data)
  }

  respond(subject: string, answer: (data: Buffer) => Uint8Array | undefined): void {
    this.#whenConnected(connection => {
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error) return this.#events.trouble(`${subject}: ${error.message}`)
          const reply = answer(bufferOf(message.data))
          if (reply) message.respond(reply)
        },
      })
    })
  }

  #whenConnected(setUp: (connection: NatsConnection) => void): void {
    this.#setUp.push(setUp)
    if (this.#connection) setUp(this.#connection)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const connection = this.#connection
    if (!connection) return
    // The last messages are sent, unless no server reads them.
    if (this.#isUp) await Promise.race([connection.flush(), sleep(500)]).catch(() => {})
    this.#isUp = false
    await Promise.race([connection.close(), sleep(500)])
  }
}

const NATS_PORT = 4222
const RETRY_MILLIS = 500

function sleep(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

function connectionOptions(options: NatsOptions): ConnectionOptions {
  const { name, password, servers, tlsCa, tlsCert, tlsKey, user } = options
  const urls = servers.map(server => new URL(server))
  const [first] = urls
  const file = (path: string) => (path === '' ? undefined : readFileSync(path, 'utf8'))
  const ca = file(tlsCa)
  const cert = file(tlsCert)
  const key = file(tlsKey)
  const isTls = ca !== undefined || cert !== undefined || first?.protocol === 'tls:'
  return {
    ...TIMES,
    name: `muster ${name}`,
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || NATS_PORT}`),
    noEcho: true,
    maxReconnectAttempts: -1,
    ...(user !== '' && { user, pass: password }),
    ...(isTls && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
  }
}

function bufferOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}
