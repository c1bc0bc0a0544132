import type { Duplex } from 'node:stream'
import { connectionOf } from './connection.ts'

/** Time in which the other end may read why its connection is closed. */
const LINGER_MILLIS = 1000

/** An error of `clientError`. A parse error has the packet, and where in it the parser stopped. */
export type ClientError = NodeJS.ErrnoException & {
  readonly rawPacket?: Buffer
  readonly bytesParsed?: number
}

const STATUS_BY_CODE: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Content Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/**
 * Answers a request that Node could not read, behind the answers to those before it, and closes the
 * connection.
 */
export function answerClientError(error: ClientError, socket: Duplex): void {
  const isGone = error.code === 'ECONNRESET' || error.code === 'EPIPE' || !socket.writable
  // A connection that never sent a byte is closed without an answer.
  if (isGone || ('bytesRead' in socket && socket.bytesRead === 0)) {
    socket.destroy()
    return
  }
  const status = STATUS_BY_CODE[error.code ?? ''] ?? '400 Bad Request'
  const answer = () => {
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    setTimeout(() => socket.destroy(), LINGER_MILLIS).unref()
  }
  const connection = connectionOf(socket)
  if (connection) connection.whenAnswered(answer)
  else answer()
}
