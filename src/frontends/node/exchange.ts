import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../adapter.ts'
import { type Connection, NO_BYTES } from './connection.ts'

/**
 * Bodies up to this size are sent in one write with the head, as a string; larger ones are copied.
 */
const ONE_WRITE_BYTES_MAX = 16 * 1024

/** A request and its response on node:http, in one object. */
export class NodeExchange implements HttpRequest, HttpResponse {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #connection: Connection
  readonly #target: string
  readonly #question: number
  #status = 200
  #reason = 'OK'
  readonly #head: string[] = []
  #isHeadSent = false
  #bodyBytes = 0
  #aborted: (() => void) | undefined
  #isSettled = false

  constructor(request: IncomingMessage, response: ServerResponse, connection: Connection) {
    this.#request = request
    this.#response = response
    this.#connection = connection
    this.#target = originForm(request.url ?? '')
    this.#question = this.#target.indexOf('?')
    response.sendDate = false
    // HTTP/1.1 keeps a connection without it.
    if (request.httpVersionMinor === 1) response.removeHeader('connection')
  }

  /** Whether the response has its socket: the responses before it are flushed. */
  get isWritable(): boolean {
    return this.#response.socket !== null
  }

  /** The socket of the request. */
  get socket(): Duplex {
    return this.#request.socket
  }

  get request(): IncomingMessage {
    return this.#request
  }

  /** Calls `handler` when the kernel has taken the whole response. */
  onFlushed(handler: () => void): void {
    this.#response.once('finish', handler)
  }

  getHeader(key: string): string {
    const value = this.#request.headers[key]
    return typeof value === 'string' ? value : (value?.[0] ?? '')
  }

  forEach(visit: (key: string, value: string) => void): void {
    const { rawHeaders } = this.#request
    for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
      visit((rawHeaders[n] as string).toLowerCase(), rawHeaders[n + 1] as string)
    }
  }

  getUrl(): string {
    return this.#question === -1 ? this.#target : this.#target.slice(0, this.#question)
  }

  getQuery(): string | undefined {
    return this.#question === -1 ? undefined : this.#target.slice(this.#question + 1)
  }

  getMethod(): string {
    const { method = '' } = this.#request
    return method === 'GET' ? 'get' : method.toLowerCase()
  }

  writeStatus(status: string): this {
    this.#status = Number(status.slice(0, 3))
    this.#reason = status.slice(4)
    return this
  }

  writeHeader(key: string | ArrayBuffer, value: string | ArrayBuffer): this {
    this.#head.push(headerText(key), headerText(value))
    return this
  }

  end(body?: string | Uint8Array, closeConnection = false): this {
    if (this.#isSettled) return this
    if (closeConnection && !this.#isHeadSent) this.#head.push('connection', 'close')
    if (this.#isHeadSent) this.#response.end(body)
    else this.#endWhole(body ?? '')
    this.#settle()
    return this
  }

  tryEnd(part: string | Uint8Array): [isWritten: boolean, isEnded: boolean] {
    this.end(part)
    return [true, true]
  }

  endWithoutBody(): this {
    this.#sendHead()
    this.#response.end()
    this.#settle()
    return this
  }

  write(chunk: string | Uint8Array): boolean {
    this.#sendHead()
    this.#bodyBytes += chunk.length
    // The caller may use the memory again before it is sent.
    return this.#response.write(typeof chunk === 'string' ? chunk : Buffer.from(chunk))
  }

  onWritable(handler: (offset: number) => boolean): this {
    this.#response.on('drain', () => handler(this.#bodyBytes))
    return this
  }

  getWriteOffset(): number {
    return this.#bodyBytes
  }

  onData(handler: (chunk: ArrayBuffer, isLast: boolean) => void): this {
    this.#request.on('data', (chunk: Buffer) => {
      if (!this.#isSettled) handler(Uint8Array.from(chunk).buffer as ArrayBuffer, false)
    })
    this.#request.on('end', () => {
      if (!this.#isSettled) handler(NO_BYTES, true)
    })
    return this
  }

  onAborted(handler: () => void): this {
    this.#aborted = handler
    return this
  }

  close(): this {
    this.#request.socket.destroy()
    this.abort()
    return this
  }

  getRemoteAddress(): ArrayBuffer {
    return this.#connection.address
  }

  getProxiedRemoteAddress(): ArrayBuffer {
    return this.#connection.proxied
  }

  cork(write: () => void): this {
    write()
    return this
  }

  /** Ends an exchange whose connection was closed. */
  abort(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#aborted?.()
    this.#aborted = undefined
  }

  #endWhole(body: string | Uint8Array): void {
    const bytes = Buffer.byteLength(body)
    this.#head.push('content-length', String(bytes))
    this.#sendHead()
    if (typeof body === 'string') {
      this.#response.end(body)
    } else if (bytes <= ONE_WRITE_BYTES_MAX) {
      const view = Buffer.from(body.buffer, body.byteOffset, bytes)
      this.#response.end(view.toString('latin1'), 'latin1')
    } else {
      this.#response.end(Buffer.from(body))
    }
  }

  #sendHead(): void {
    if (this.#isHeadSent) return
    this.#isHeadSent = true
    this.#response.writeHead(this.#status, this.#reason, this.#head)
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#aborted = undefined
    this.#connection.settled()
  }
}

/**
 * A request target without scheme and authority, which a client may send as to a proxy (RFC 9112
 * §3.2.2).
 */
function originForm(target: string): string {
  if (target.charCodeAt(0) === 0x2f) return target
  const authority = /^https?:\/\/[^/?]*/i.exec(target)?.[0]
  if (authority === undefined) return target
  const rest = target.slice(authority.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

const headerTexts = new WeakMap<ArrayBuffer, string>()

/**
 * The text of a header name or value. A value given as bytes is a constant, so its text is cached.
 */
function headerText(value: string | ArrayBuffer): string {
  if (typeof value === 'string') return value
  let text = headerTexts.get(value)
  if (text === undefined) {
    text = Buffer.from(value).toString('latin1')
    headerTexts.set(value, text)
  }
  return text
}
