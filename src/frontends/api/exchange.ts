import { STATUS_CODES } from 'node:http'
import type { HttpResponse } from '../uws.ts'
import type { Chunks, Reply } from './replies.ts'

/** One request on its way: a response that may be written to until it is settled. */
export type Exchange = {
  readonly response: HttpResponse
  readonly isHead: boolean
  /** Answered, or the client went away. */
  readonly isSettled: boolean
  /** Writes the answer. Rejects when the pieces of its body do; then nothing was written yet, or the connection was cut. */
  send(reply: Reply): Promise<void>
}

/** Sent with every answer: a website may use the API from its own pages, and nobody is to keep what it says. */
const COMMON_HEADERS: readonly (readonly [string, string])[] = [
  ['access-control-allow-origin', '*'],
  ['access-control-expose-headers', 'x-status, retry-after, allow'],
  ['x-content-type-options', 'nosniff'],
]

/** `settled` is called once; `isClosing` says whether an answer is its connection's last. */
export function openExchange(
  response: HttpResponse,
  isHead: boolean,
  settled: () => void,
  isClosing: () => boolean = () => false,
): Exchange {
  let isSettled = false
  let wake: (() => void) | undefined

  function settle(): void {
    if (isSettled) return
    isSettled = true
    settled()
    wake?.()
  }

  function writeHead(reply: Reply): void {
    response.writeStatus(`${reply.status} ${STATUS_CODES[reply.status] ?? ''}`)
    if (reply.status !== 304 && reply.status !== 204)
      response.writeHeader('content-type', reply.type)
    for (const [name, value] of COMMON_HEADERS) response.writeHeader(name, value)
    for (const [name, value] of reply.headers ?? []) response.writeHeader(name, value)
    if (!reply.headers?.some(([name]) => name === 'cache-control')) {
      response.writeHeader('cache-control', 'no-store')
    }
  }

  function sendWhole(reply: Reply, body: string | Uint8Array): void {
    if (isSettled) return
    response.cork(() => {
      writeHead(reply)
      const hasBody = reply.status !== 304 && reply.status !== 204
      if (hasBody && !isHead) response.end(body, isClosing())
      else {
        if (isClosing()) response.writeHeader('connection', 'close')
        // Given the length itself, endWithoutBody would wait for a body.
        if (hasBody) response.writeHeader('content-length', String(Buffer.byteLength(body)))
        response.endWithoutBody()
      }
    })
    settle()
  }

  /** Nobody knows how long the body would be. */
  function sendHead(reply: Reply): void {
    response.cork(() => {
      writeHead(reply)
      if (isClosing()) response.writeHeader('connection', 'close')
      response.endWithoutBody()
    })
    settle()
  }

  /** Resolves when a slow reader has taken what was written, or has gone. */
  function untilTaken(): Promise<void> {
    return new Promise(resolve => {
      wake = resolve
    })
  }

  async function sendChunks(reply: Reply, chunks: Chunks): Promise<void> {
    // The first before the head, so that what fails at once can still be said.
    let next = await chunks.next()
    if (isSettled) return
    if (isHead) return sendHead(reply)
    response.onWritable(() => {
      wake?.()
      return true
    })
    response.cork(() => writeHead(reply))
    try {
      for (; !next.done; next = await chunks.next()) {
        const chunk = next.value
        if (isSettled) return
        let isTaken = true
        response.cork(() => {
          isTaken = response.write(chunk)
        })
        if (!isTaken) await untilTaken()
        if (isSettled) return
      }
    } catch (error) {
      if (!isSettled) response.close()
      throw error
    }
    if (isSettled) return
    response.cork(() => response.end(undefined, isClosing()))
    settle()
  }

  response.onAborted(settle)
  return {
    response,
    isHead,
    get isSettled() {
      return isSettled
    },
    async send(reply) {
      if (typeof reply.body === 'string' || reply.body instanceof Uint8Array) {
        sendWhole(reply, reply.body)
        return
      }
      try {
        await sendChunks(reply, reply.body)
      } finally {
        await reply.body.return()
      }
    },
  }
}
