import type { Socket } from 'node:net'
import { HTTP_HEAD_BYTES_MAX } from '../../protocol/limits.ts'
import { DirectExchange, type DirectWriter } from './direct-exchange.ts'
import type { ExchangeConnection } from './exchange-base.ts'
import { type RequestHead, readRequestHead } from './request-head.ts'

const HEAD_END = '\r\n\r\n'
/** Bytes of requests that wait for the answer to an earlier one. */
const PIPELINED_BYTES_MAX = 32 * 1024
/** A longer head is not retained for the next request of the connection. */
const RETAINED_BYTES_MAX = 2048

/** Addresses of a connection: see `ExchangeConnection`. */
export type OtherEnd = Pick<ExchangeConnection, 'address' | 'proxied'>

export type DirectOptions = {
  /** Called with each request in its turn. */
  handle(exchange: DirectExchange): void
  /** Called once if a request needs more, with the connection's unread bytes put back. */
  leave(socket: Socket): void
  /** Maximum time to the first request. */
  readonly firstMillis: number
  /** Maximum time between requests. */
  readonly idleMillis: number
  /** Maximum time in which a client reads nothing of an answer. */
  readonly stallMillis: number
}

/**
 * Serves a connection on its socket, as long as its requests are complete in one packet and as
 * simple as announces are, in less time than node:http. The first other request, or a part of one,
 * is left to node:http with all that follow.
 *
 * A request is handled only when the answer to the one before has been handed to the kernel, so
 * that a client that does not read has at most one answer in memory.
 */
export class DirectConnection implements DirectWriter {
  readonly address: ArrayBuffer
  readonly proxied: ArrayBuffer
  readonly #socket: Socket
  readonly #options: DirectOptions
  #current: DirectExchange | undefined
  /** The head of the last request, if it is short. */
  #before: RequestHead | undefined
  /** Bytes behind the current request. */
  #waiting: Buffer | undefined
  /** Number of writes that wait for the kernel. */
  #writes = 0
  #hasRequest = false
  /** Whether the connection ends behind the current answer. */
  #isLast = false
  /** Whether the client has closed its side, and may still read. */
  #isHalfClosed = false
  #isStalled = false

  constructor(socket: Socket, { address, proxied }: OtherEnd, options: DirectOptions) {
    this.address = address
    this.proxied = proxied
    this.#socket = socket
    this.#options = options
    socket.setTimeout(options.firstMillis)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    socket.on('timeout', this.#onTimeout)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  write(bytes: string | Uint8Array): boolean {
    this.#writes++
    return typeof bytes === 'string'
      ? this.#socket.write(bytes, 'latin1', this.#onWritten)
      : this.#socket.write(bytes, this.#onWritten)
  }

  endAfterWrites(): void {
    this.#isLast = true
  }

  destroy(): void {
    this.#socket.destroy()
  }

  settled(): void {
    if (this.#writes === 0) this.#next()
  }

  /** Whether the answer to a request is not written yet. */
  get #isBusy(): boolean {
    return this.#current !== undefined
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#isBusy) {
      this.#read(chunk)
      return
    }
    const waiting = this.#waiting ? Buffer.concat([this.#waiting, chunk]) : chunk
    if (waiting.length > PIPELINED_BYTES_MAX) this.#socket.destroy()
    else this.#waiting = waiting
  }

  /** Handles the request at the start of `bytes`, or leaves the connection to node:http. */
  #read(bytes: Buffer): void {
    const text = bytes.toString('latin1', 0, Math.min(bytes.length, HTTP_HEAD_BYTES_MAX))
    const end = text.indexOf(HEAD_END)
    const request = end === -1 ? undefined : readRequestHead(text.slice(0, end + 2), this.#before)
    if (!request) {
      this.#leave(bytes)
      return
    }
    const length = end + HEAD_END.length
    this.#waiting = bytes.length > length ? bytes.subarray(length) : undefined
    this.#before = text.length <= RETAINED_BYTES_MAX ? request : undefined
    if (!this.#hasRequest) {
      this.#hasRequest = true
      this.#socket.setTimeout(this.#options.idleMillis)
    }
    this.#current = new DirectExchange(request, this)
    this.#options.handle(this.#current)
  }

  readonly #onWritten = (): void => {
    this.#writes--
    if (this.#writes === 0 && this.#current?.isSettled) this.#next()
  }

  /** Called when an answer is written. */
  #next(): void {
    this.#current = undefined
    const waiting = this.#waiting
    this.#waiting = undefined
    const isDone = this.#isLast || (this.#isHalfClosed && !waiting)
    if (isDone || this.#socket.destroyed) {
      this.#socket.destroySoon()
      return
    }
    if (this.#isStalled) {
      this.#isStalled = false
      this.#socket.setTimeout(this.#options.idleMillis)
    }
    if (waiting) this.#read(waiting)
  }

  #leave(bytes: Buffer): void {
    const socket = this.#socket
    // node:http would wait for an end that has passed.
    if (this.#isHalfClosed) {
      socket.destroySoon()
      return
    }
    socket.pause()
    socket.setTimeout(0)
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain)
    socket.off('timeout', this.#onTimeout).off('error', this.#onError).off('close', this.#onClose)
    socket.unshift(bytes)
    this.#options.leave(socket)
    socket.resume()
  }

  readonly #onEnd = (): void => {
    this.#isHalfClosed = true
    if (!this.#isBusy) this.#socket.end()
  }

  readonly #onDrain = (): void => this.#current?.drained()

  readonly #onTimeout = (): void => {
    const { idleMillis, stallMillis } = this.#options
    if (this.#isBusy && !this.#isStalled && idleMillis < stallMillis) {
      this.#isStalled = true
      this.#socket.setTimeout(stallMillis)
    } else this.#socket.destroy()
  }

  /** `close` follows. */
  readonly #onError = (): void => {}

  readonly #onClose = (): void => {
    this.#waiting = undefined
    const current = this.#current
    this.#current = undefined
    current?.abort()
  }
}
