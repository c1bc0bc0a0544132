import type { HttpRequest } from '../adapter.ts'

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

/** A request as an exchange reads it. */
export type RequestFields = {
  /** In lower case. */
  readonly method: string
  /** The path with the query. */
  readonly target: string
  /** Names, in the case that the client used, and values of the header lines, in turn. */
  readonly headers: readonly string[]
}

/** The request of an exchange, and whether its response is ended. */
export abstract class ExchangeBase implements HttpRequest {
  protected readonly connection: ExchangeConnection
  readonly #method: string
  readonly #target: string
  readonly #question: number
  readonly #headers: readonly string[]
  #aborted: (() => void) | undefined
  #isSettled = false

  constructor({ headers, method, target }: RequestFields, connection: ExchangeConnection) {
    this.#method = method
    this.#target = target
    this.#question = target.indexOf('?')
    this.#headers = headers
    this.connection = connection
  }

  /** Whether the response is ended, or the connection is closed. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  getHeader(key: string): string {
    const headers = this.#headers
    for (let n = 0; n + 1 < headers.length; n += 2) {
      const name = headers[n] as string
      if (name.length === key.length && name.toLowerCase() === key) return headers[n + 1] as string
    }
    return ''
  }

  forEach(visit: (key: string, value: string) => void): void {
    const headers = this.#headers
    for (let n = 0; n + 1 < headers.length; n += 2) {
      visit((headers[n] as string).toLowerCase(), headers[n + 1] as string)
    }
  }

  getUrl(): string {
    return this.#question === -1 ? this.#target : this.#target.slice(0, this.#question)
  }

  getQuery(): string | undefined {
    return this.#question === -1 ? undefined : this.#target.slice(this.#question + 1)
  }

  getMethod(): string {
    return this.#method
  }

  getRemoteAddress(): ArrayBuffer {
    return this.connection.address
  }

  getProxiedRemoteAddress(): ArrayBuffer {
    return this.connection.proxied
  }

  onAborted(handler: () => void): this {
    this.#aborted = handler
    return this
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

  /** Must be called when the response is ended. */
  protected settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#aborted = undefined
    this.connection.settled()
  }
}
