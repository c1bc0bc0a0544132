import { STATUS_CODES } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { HttpResponse } from '../../adapter.ts'
import { endHead, endWhole } from '../../end-response.ts'
import type { Chunks, Reply } from '../replies.ts'

/**
 * Headers of every answer. A website may call the API from its own pages, and no cache stores an
 * answer.
 */
const COMMON_HEADERS: readonly (readonly [string, string])[] = [
  ['access-control-allow-origin', '*'],
  ['access-control-expose-headers', 'x-status, retry-after, allow'],
  ['x-content-type-options', 'nosniff'],
]

export type ExchangeOptions = {
  readonly isHead: boolean
  /** Called once, when the answer is written or the client has disconnected. */
  readonly onSettled: () => void
  /** Whether the answer is the last one of its connection. */
  readonly isClosing?: () => boolean
}

/** One request and its response. */
export class Exchange {
  readonly response: HttpResponse
  readonly isHead: boolean
  readonly #isClosing: () => boolean
  readonly #onSettled: () => void
  #isSettled = false
  /** Resumes a chunked answer that waits for a slow client. */
  #wake: (() => void) | undefined

  constructor(response: HttpResponse, options: ExchangeOptions) {
    this.response = response
    this.isHead = options.isHead
    this.#isClosing = options.isClosing ?? (() => false)
    this.#onSettled = options.onSettled
    response.onAborted(() => this.#settle())
  }

  /** Whether the request is answered or its client has disconnected. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /**
   * Writes the answer. Rejects when the chunks of its body do. In that case either nothing was
   * written, or the connection was closed.
   */
  async send(reply: Reply): Promise<void> {
    // Never within the handler: uWebSockets.js would continue with the next request of a client
    // that does not read.
    await nextTurn()
    if (typeof reply.body === 'string' || reply.body instanceof Uint8Array) {
      this.#sendWhole(reply, reply.body)
      return
    }
    try {
      await this.#sendChunks(reply, reply.body)
    } finally {
      await reply.body.return()
    }
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#onSettled()
    this.#wake?.()
  }

  #writeHead(reply: Reply): void {
    const { response } = this
    response.writeStatus(`${reply.status} ${STATUS_CODES[reply.status] ?? ''}`)
    if (hasBody(reply)) response.writeHeader('content-type', reply.type)
    for (const [name, value] of COMMON_HEADERS) response.writeHeader(name, value)
    for (const [name, value] of reply.headers ?? []) response.writeHeader(name, value)
    if (!reply.headers?.some(([name]) => name === 'cache-control')) {
      response.writeHeader('cache-control', 'no-store')
    }
  }

  #sendWhole(reply: Reply, body: string | Uint8Array): void {
    if (this.#isSettled) return
    const { response } = this
    response.cork(() => {
      this.#writeHead(reply)
      const isLast = this.#isClosing()
      if (!hasBody(reply)) endHead(response, undefined, isLast)
      else if (this.isHead) endHead(response, Buffer.byteLength(body), isLast)
      else endWhole(response, body, isLast)
    })
    this.#settle()
  }

  /** Answers HEAD for a chunked body, whose length is not known. */
  #sendHead(reply: Reply): void {
    const { response } = this
    response.cork(() => {
      this.#writeHead(reply)
      endHead(response, undefined, this.#isClosing())
    })
    this.#settle()
  }

  async #sendChunks(reply: Reply, chunks: Chunks): Promise<void> {
    const { response } = this
    // The first chunk is created before the head is written, so that an early failure gets a
    // status.
    let next = await chunks.next()
    if (this.#isSettled) return
    if (this.isHead) return this.#sendHead(reply)
    response.onWritable(() => {
      this.#wake?.()
      return true
    })
    response.cork(() => this.#writeHead(reply))
    try {
      for (; !next.done; next = await chunks.next()) {
        if (this.#isSettled) return
        if (!this.#write(next.value)) await this.#untilDrained()
        if (this.#isSettled) return
      }
    } catch (error) {
      if (!this.#isSettled) response.close()
      throw error
    }
    if (this.#isSettled) return
    response.cork(() => response.end(undefined, this.#isClosing()))
    this.#settle()
  }

  /** Returns false when the client does not read as fast as the answer is written. */
  #write(chunk: string): boolean {
    let isDrained = true
    this.response.cork(() => {
      isDrained = this.response.write(chunk)
    })
    return isDrained
  }

  /** Resolves when a slow client has read what was written, or has disconnected. */
  #untilDrained(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}

/** RFC 9110 sections 15.3.5 and 15.4.5: 204 and 304 do not have a body. */
function hasBody({ status }: Reply): boolean {
  return status !== 304 && status !== 204
}
