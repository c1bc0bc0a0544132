import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpResponse } from '../adapter.ts'
import { ExchangeBase, type ExchangeConnection, NO_BYTES } from './exchange-base.ts'
import { headerText } from './header-text.ts'
import type { RequestMessage } from './request-message.ts'

/** A request and its response on node:http, in one object. */
export class NodeExchange extends ExchangeBase implements HttpResponse {
  readonly #request: RequestMessage
  readonly #response: ServerResponse
  #status = 200
  #reason = 'OK'
  readonly #head: string[] = []
  #isHeadSent = false
  #bodyBytes = 0

  constructor(request: RequestMessage, response: ServerResponse, connection: ExchangeConnection) {
    const { method = '', rawHeaders, url = '' } = request
    const fields = { method: method.toLowerCase(), target: originForm(url), headers: rawHeaders }
    super(fields, connection)
    this.#request = request
    this.#response = response
  }

  /** Whether the response has its socket: the responses before it are flushed. */
  get isWritable(): boolean {
    return this.#response.socket !== null
  }

  /** Whether the request has been received with its whole body. */
  get isComplete(): boolean {
    return this.#request.complete
  }

  /** The socket of the request. */
  get socket(): Duplex {
    return this.#request.socket
  }

  get request(): RequestMessage {
    return this.#request
  }

  /** Calls `handler` when the kernel has accepted the whole response. */
  onFlushed(handler: () => void): void {
    this.#response.once('finish', handler)
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
    if (this.isSettled) return this
    if (this.#isHeadSent) this.#response.end(body)
    else this.#endWhole(body ?? '', closeConnection)
    this.settle()
    return this
  }

  tryEnd(part: string | Uint8Array): [isWritten: boolean, isEnded: boolean] {
    this.end(part)
    return [true, true]
  }

  endWithoutBody(): this {
    this.#sendHead()
    this.#response.end()
    this.settle()
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
      if (!this.isSettled) handler(Uint8Array.from(chunk).buffer as ArrayBuffer, false)
    })
    const end = () => {
      if (!this.isSettled) handler(NO_BYTES, true)
    }
    if (this.#request.isWithoutBody) setImmediate(end)
    else this.#request.on('end', end)
    return this
  }

  close(): this {
    this.#request.socket.destroy()
    this.abort()
    return this
  }

  #endWhole(body: string | Uint8Array, isLast: boolean): void {
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
