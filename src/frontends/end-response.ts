import type { HttpResponse } from './adapter.ts'

/**
 * Ends a response with this body, whose memory may be used again afterwards. The part that the
 * client does not read waits in one copy, and the response stays open meanwhile: a backend then
 * handles no further request of the connection, so that a client that does not read never has more
 * than one answer in memory.
 */
export function endWhole(response: HttpResponse, body: string | Uint8Array, isLast = false): void {
  if (isLast) {
    response.end(body, true)
    return
  }
  const [isWritten] = response.tryEnd(body, Buffer.byteLength(body))
  if (isWritten) return
  const rest = Buffer.from(body as Uint8Array)
  // The handler so far belongs to a request that is settled now.
  response.onAborted(() => {})
  response.onWritable(offset => response.tryEnd(rest.subarray(offset), rest.length)[0])
}

/** Ends a response to HEAD, whose body would have this number of bytes. */
export function endHead(response: HttpResponse, bytes: number | undefined, isLast = false): void {
  if (isLast) response.writeHeader('connection', 'close')
  if (bytes !== undefined) response.writeHeader('content-length', String(bytes))
  // uWebSockets.js would wait for a body if the length were passed as an argument.
  response.endWithoutBody()
}
