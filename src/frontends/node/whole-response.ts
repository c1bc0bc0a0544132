import { OutgoingMessage, type ServerResponse } from 'node:http'

/**
 * Fields of node:http that its documentation does not list: the text of the response's head, and
 * whether the connection ends after it. `end()` sends the text of the head in one write. With the
 * body appended to that text, an answer costs one write; writeHead and end(body) cost a writev of
 * two buffers, and the check of every header.
 */
type Undocumented = { _header: string | null; _last: boolean; shouldKeepAlive: boolean }

const probe = new OutgoingMessage()

/** Whether this Node has the fields that `endWithText` sets. */
export const CAN_END_WITH_TEXT = '_header' in probe && '_last' in probe

/**
 * Ends the response to a request that is not HEAD, with status 200. Each character of the body is a
 * byte. `minor` is the request's minor HTTP version. The header lines must be constants, because
 * they are not checked.
 */
export function endWithText(
  response: ServerResponse,
  minor: number,
  headerLines: string,
  body: string,
  isLast: boolean,
): void {
  const message = response as unknown as Undocumented
  const closes = isLast || !message.shouldKeepAlive
  const connection = closes ? CLOSE : minor === 0 ? KEEP_ALIVE : ''
  message._last = closes
  message._header = `${STATUS_LINE}${headerLines}${connection}content-length: ${body.length}\r\n\r\n${body}`
  response.end()
}

const STATUS_LINE = 'HTTP/1.1 200 OK\r\n'
const CLOSE = 'connection: close\r\n'
/** HTTP/1.0 closes a connection without it. */
const KEEP_ALIVE = 'connection: keep-alive\r\n'
