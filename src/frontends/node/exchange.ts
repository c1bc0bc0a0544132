import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from '../adapter.ts'
import type { RequestMessage } from './request-message.ts'
import { CAN_END_WITH_TEXT, endWithText } from './whole-response.ts'

/**
 * Bodies up to this size are sent in one write with the head, as a string; larger ones are copied.
 */
const ONE_WRITE_BYTES_MAX = 16 * 1024

export const NO_BYTES = new ArrayBuffer(0)

/** The connection of an exchange, as the exchange uses it. */
export type ExchangeConnection = {
  /** The 4 or 16 bytes of the address of the other end. */
  readonly address: ArrayBuffer
  /** The client's address from a PROXY header; empty without one. */
  readonly proxied: ArrayBuffer
  /** Must be called when the response is ended. */
  settled(): void
}

/** A request and its response on node:http, in one object. */
export class NodeExchange implements HttpRequest, HttpResponse {
  readonly #request: RequestMessage
  readonly #response: ServerResponse
  readonly #connection: ExchangeConnection
  readonly #target: string
  readonly #question: number
  #status = 200
  #reason = 'OK'
  readonly #head: string[] = []
  /** The header lines, as long as all of them are constants; undefined otherwise. */
  #constantLines: string | undefined = CAN_END_WITH_TEXT ? '' : undefined
  #isHeadSent = false
  #bodyBytes = 0
  #aborted: (() => void) | undefined
  #isSettled = false

  constructor(request: RequestMessage, response: ServerResponse, connection: ExchangeConnection) {
    this.#request = request
    this.#response = response
    this.#connection = connection
    this.#target = originForm(request.url ?? '')
    this.#question = this.#target.indexOf('?')
  }

  /** Whether the response has its socket: the responses before it are flushed. */
  get isWritable(): boolean {
    return this.#response.socket !== null
  }

  /** The socket of the request. */
  get socket(): Duplex {
    return this.#request.socket
  }

  get request(): RequestMessage {
    return this.#request
  }

  /** Calls `handler` when the kernel has taken the whole response. */
  onFlushed(handler: () => void): void {
    this.#response.once('finish', handler)
  }

  getHeader(key: string): string {
    // Without `headers`, which Node builds for all of them when it is first read.
    const { rawHeaders } = this.#request
    for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
      const name = rawHeaders[n] as string
      if (name.length === key.length && name.toLowerCase() === key)
        return rawHeaders[n + 1] as string
    }
    return ''
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
    this.#constantLines = undefined
    this.#status = Number(status.slice(0, 3))
    this.#reason = status.slice(4)
    return this
  }

  writeHeader(key: string | ArrayBuffer, value: string | ArrayBuffer): this {
    if (typeof key === 'string' || typeof value === 'string') this.#constantLines = undefined
    else if (this.#constantLines !== undefined) this.#constantLines += headerLine(key, value)
    this.#head.push(headerText(key), headerText(value))
    return this
  }

  end(body?: string | Uint8Array, closeConnection = false): this {
    if (this.#isSettled) return this
    if (this.#isHeadSent) this.#response.end(body)
    else this.#endWhole(body ?? '', closeConnection)
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
    const end = () => {
      if (!this.#isSettled) handler(NO_BYTES, true)
    }
    if (this.#request.isWithoutBody) setImmediate(end)
    else this.#request.on('end', end)
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

  #endWhole(body: string | Uint8Array, isLast: boolean): void {
    const lines = this.#constantLines
    if (lines !== undefined && typeof body !== 'string' && body.length <= ONE_WRITE_BYTES_MAX) {
      this.#isHeadSent = true
      const { httpVersionMinor } = this.#request
      endWithText(this.#response, httpVersionMinor, lines, latin1(body), isLast)
      return
    }
    if (isLast) this.#head.push('connection', 'close')
    this.#head.push('content-length', String(Buffer.byteLength(body)))
    this.#sendHead()
    this.#response.end(typeof body === 'string' ? body : Buffer.from(body))
  }

  #sendHead(): void {
    if (this.#isHeadSent) return
    this.#isHeadSent = true
    const response = this.#response
    response.sendDate = false
    // HTTP/1.1 keeps a connection without it.
    if (this.#request.httpVersionMinor === 1 && response.shouldKeepAlive) {
      response.removeHeader('connection')
    }
    response.writeHead(this.#status, this.#reason, this.#head)
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

/** The bytes as characters. */
function latin1(bytes: Uint8Array): string {
  if (bytes.buffer !== latin1Memory.buffer) latin1Memory = Buffer.from(bytes.buffer)
  return latin1Memory.toString('latin1', bytes.byteOffset, bytes.byteOffset + bytes.length)
}
/** The memory of the last answer: answers are built in the same memory for a long time. */
let latin1Memory: Buffer = Buffer.alloc(0)

const headerTexts = new WeakMap<ArrayBuffer, string>()
const headerLines = new WeakMap<
  ArrayBuffer,
  { readonly value: ArrayBuffer; readonly line: string }
>()

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

/** The header line of two constants. */
function headerLine(key: ArrayBuffer, value: ArrayBuffer): string {
  const known = headerLines.get(key)
  if (known?.value === value) return known.line
  const line = `${headerText(key)}: ${headerText(value)}\r\n`
  headerLines.set(key, { value, line })
  return line
}
