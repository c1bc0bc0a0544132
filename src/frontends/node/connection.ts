import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { parseAddress } from '../../protocol/ip.ts'
import type { NodeExchange } from './exchange.ts'
import { type ExchangeConnection, NO_BYTES } from './exchange-base.ts'

/** Requests of one connection that wait for the answer to an earlier one. */
const PIPELINED_MAX = 32

/**
 * Orders the requests of one connection. A request is handled only when the answer to the one
 * before has been handed to the kernel, so that a client that does not read has at most one answer
 * in memory.
 */
export class Connection implements ExchangeConnection {
  readonly address: ArrayBuffer
  readonly proxied: ArrayBuffer
  readonly #socket: Duplex
  readonly #handle: (exchange: NodeExchange) => void
  readonly #waiting: NodeExchange[] = []
  /** The exchange whose handler has been called and which is not ended. */
  #current: NodeExchange | undefined
  #last: NodeExchange | undefined
  #isNextScheduled = false
  #isClosed = false
  #whenAnswered: (() => void) | undefined

  /** `handle` is called with each request in its turn. */
  constructor(socket: Socket, proxied: ArrayBuffer, handle: (exchange: NodeExchange) => void) {
    this.address = addressBytes(socket.remoteAddress)
    this.proxied = proxied
    this.#socket = socket
    this.#handle = handle
    socket.once('close', this.#closed)
  }

  /** Whether a request is not answered yet. */
  get isBusy(): boolean {
    return this.#current !== undefined || this.#waiting.length > 0
  }

  /**
   * Handles the request now, or after those before it. Closes the connection when too many wait.
   */
  arrived(exchange: NodeExchange) {
    if (this.#isClosed || this.#whenAnswered) return
    // Node assigns the socket to a response when the one before is flushed.
    if (!this.#current && exchange.isWritable) return this.#serve(exchange)
    if (this.#waiting.length >= PIPELINED_MAX) {
      this.#socket.destroy()
      return this.#closed()
    }
    this.#waiting.push(exchange)
    if (!this.#current) this.#scheduleNext()
  }

  /** Must be called when the response of the current exchange is ended. */
  settled(): void {
    this.#current = undefined
    if (this.#waiting.length > 0 || this.#whenAnswered) this.#scheduleNext()
  }

  /**
   * Calls `write` when all requests so far are answered; later ones are ignored. A request whose
   * body is not complete is aborted, because the rest of it is not read.
   */
  whenAnswered(write: () => void): void {
    if (this.#whenAnswered) return
    if (this.#waiting.at(-1)?.isComplete === false) this.#waiting.pop()
    else if (this.#current?.isComplete === false) {
      this.#current.abort()
      this.#current = undefined
    }
    this.#whenAnswered = () => {
      this.#whenAnswered = () => {}
      write()
    }
    if (!this.isBusy) this.#whenAnswered()
  }

  /** Handles the request that `open` returns after those before it, as the connection's last. */
  lastArrived(open: () => NodeExchange): void {
    this.whenAnswered(() => {
      if (!this.#isClosed) this.#serve(open())
    })
  }

  #serve(exchange: NodeExchange): void {
    this.#current = exchange
    this.#last = exchange
    this.#handle(exchange)
  }

  #scheduleNext(): void {
    if (this.#isNextScheduled) return
    this.#isNextScheduled = true
    this.#last?.onFlushed(this.#next)
  }

  readonly #next = (): void => {
    this.#isNextScheduled = false
    const exchange = this.#waiting.shift()
    if (exchange) this.#serve(exchange)
    else if (!this.#current) this.#whenAnswered?.()
  }

  readonly #closed = (): void => {
    this.#isClosed = true
    this.#waiting.length = 0
    const current = this.#current
    this.#current = undefined
    current?.abort()
  }
}

/** The 4 or 16 bytes of an address; empty without one. */
export function addressBytes(text = ''): ArrayBuffer {
  const bytes = parseAddress(text)
  return bytes ? (Uint8Array.from(bytes).buffer as ArrayBuffer) : NO_BYTES
}

const CONNECTION = Symbol('connection')
type Served = Duplex & { [CONNECTION]?: Connection }

/** The connection of a socket, undefined before `setConnection`. */
export function connectionOf(socket: Duplex): Connection | undefined {
  return (socket as Served)[CONNECTION]
}

export function setConnection(socket: Socket, connection: Connection): void {
  ;(socket as Served)[CONNECTION] = connection
}
