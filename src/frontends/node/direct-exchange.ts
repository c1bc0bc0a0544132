import type { HttpResponse } from '../adapter.ts'
import { ExchangeBase, type ExchangeConnection, NO_BYTES } from './exchange-base.ts'
import { headerLine } from './header-text.ts'
import type { RequestHead } from './request-head.ts'

/**
 * Bodies up to this size are sent in one write with the head, as a string; larger ones are copied.
 */
const ONE_WRITE_BYTES_MAX = 16 * 1024

const STATUS_LINE = 'HTTP/1.1 200 OK\r\n'
const CLOSE = 'connection: close\r\n'
/** HTTP/1.0 closes a connection without it. */
const KEEP_ALIVE = 'connection: keep-alive\r\n'
const HAS_NO_BODY = /^HTTP\/1\.1 [23]04 /
const CHUNKED = 'transfer-encoding: chunked\r\n'
const LAST_CHUNK = '0\r\n\r\n'

/** The connection of an exchange, as the exchange uses it. */
export type DirectWriter = ExchangeConnection & {
  /** Returns false when bytes wait for a slow reader. A string has a character for each byte. */
  write(bytes: string | Uint8Array): boolean
  /** The connection ends when all bytes are written. */
  endAfterWrites(): void
  destroy(): void
}

/** A request without a body and its response, written straight to the socket. */
export class DirectExchange extends ExchangeBase implements HttpResponse {
  readonly #writer: DirectWriter
  readonly #request: RequestHead
  #statusLine = STATUS_LINE
  #lines = ''
  #hasLength = false
  #isLast: boolean
  #isHeadSent = false
  #bodyBytes = 0
  #writable: ((offset: number) => boolean) | undefined

  constructor(request: RequestHead, writer: DirectWriter) {
    super(request, writer)
    this.#request = request
    this.#writer = writer
    this.#isLast = !request.keepsAlive
  }

  writeStatus(status: string): this {
    this.#statusLine = `HTTP/1.1 ${status}\r\n`
    return this
  }

  writeHeader(key: string | ArrayBuffer, value: string | ArrayBuffer): this {
    if (key === 'content-length') this.#hasLength = true
    if (key === 'connection') this.#isLast ||= value === 'close'
    else this.#lines += headerLine(key, value)
    return this
  }

  end(body: string | Uint8Array = '', closeConnection = false): this {
    if (this.isSettled) return this
    if (closeConnection) this.#isLast = true
    if (this.#isHeadSent) {
      if (body.length > 0) this.write(body)
      if (this.#isChunked) this.#writer.write(LAST_CHUNK)
    } else this.#endWhole(body)
    this.#finish()
    return this
  }

  tryEnd(part: string | Uint8Array): [isWritten: boolean, isEnded: boolean] {
    this.end(part)
    return [true, true]
  }

  endWithoutBody(): this {
    if (this.#isHeadSent) return this.end()
    const isComplete = this.#hasLength || this.getMethod() === 'head'
    const head = this.#head()
    const length = isComplete || HAS_NO_BODY.test(head) ? '' : 'content-length: 0\r\n'
    this.#writer.write(`${head}${length}\r\n`)
    this.#finish()
    return this
  }

  write(chunk: string | Uint8Array): boolean {
    if (!this.#isHeadSent) this.#sendHead()
    // A copy: the caller may use the memory again before it is sent.
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk)
    this.#bodyBytes += bytes.length
    if (this.getMethod() === 'head') return true
    if (!this.#isChunked) return this.#writer.write(bytes)
    const size = `${bytes.length.toString(16)}\r\n`
    return this.#writer.write(Buffer.concat([Buffer.from(size), bytes, Buffer.from('\r\n')]))
  }

  onWritable(handler: (offset: number) => boolean): this {
    this.#writable = handler
    return this
  }

  getWriteOffset(): number {
    return this.#bodyBytes
  }

  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): this {
    setImmediate(() => {
      if (!this.isSettled) handler(NO_BYTES, true)
    })
    return this
  }

  close(): this {
    this.#writer.destroy()
    this.abort()
    return this
  }

  /** Must be called when the bytes that waited for a slow reader are written. */
  drained(): void {
    if (!this.isSettled) this.#writable?.(this.#bodyBytes)
  }

  /** Whether `write` frames the body; HTTP/1.0 ends it with the connection. */
  get #isChunked(): boolean {
    return !this.#request.isOld && this.getMethod() !== 'head'
  }

  #endWhole(body: string | Uint8Array): void {
    const bytes = Buffer.byteLength(body)
    const head = `${this.#head()}content-length: ${bytes}\r\n\r\n`
    if (this.getMethod() === 'head' || bytes === 0) this.#writer.write(head)
    else if (typeof body !== 'string' && bytes <= ONE_WRITE_BYTES_MAX) {
      this.#writer.write(head + latin1(body))
    } else {
      const copy = typeof body === 'string' ? Buffer.from(body) : body
      this.#writer.write(Buffer.concat([Buffer.from(head, 'latin1'), copy]))
    }
  }

  #sendHead(): void {
    this.#isHeadSent = true
    if (this.#request.isOld) this.#isLast = true
    this.#writer.write(`${this.#head()}${this.#isChunked ? CHUNKED : ''}\r\n`)
  }

  #head(): string {
    const connection = this.#isLast ? CLOSE : this.#request.isOld ? KEEP_ALIVE : ''
    return `${this.#statusLine}${this.#lines}${connection}`
  }

  #finish(): void {
    if (this.#isLast) this.#writer.endAfterWrites()
    this.settle()
  }
}

/** The bytes as characters. */
function latin1(bytes: Uint8Array): string {
  if (bytes.buffer !== latin1Memory.buffer) latin1Memory = Buffer.from(bytes.buffer)
  return latin1Memory.toString('latin1', bytes.byteOffset, bytes.byteOffset + bytes.length)
}
/** The memory of the last answer: answers are built in the same memory for a long time. */
let latin1Memory: Buffer = Buffer.alloc(0)
