import type { RequestFields } from './exchange-base.ts'

/** The head of a request that needs nothing of node:http. */
export type RequestHead = RequestFields & {
  /** Whether the request is HTTP/1.0. */
  readonly isOld: boolean
  /** Whether the connection stays open after the answer. */
  readonly keepsAlive: boolean
  /** The header lines, each with its line end. */
  readonly lines: string
}

const VERSION = ' HTTP/1.'
/** Bytes from 0x80 on are accepted: a client may send them unencoded in info_hash and peer_id. */
const INVALID_IN_TARGET = /[^\x21-\x7e\x80-\xff]/
const HEADER_LINES = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/
/** Headers that announce a body, or ask for something else than an answer. */
const OTHERS = new Set([
  'content-length',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
])

/**
 * Reads the head of a GET or HEAD request of HTTP/1.0 or 1.1: `head` ends with the line end of its
 * last line, and each character is a byte. Undefined when the request has a body, asks for more
 * than an answer, or is malformed in any way (RFC 9112 §3 and §5), so that nothing is accepted
 * here that node:http would read differently. `before` is an earlier head of the connection, whose
 * headers are mostly the same.
 */
export function readRequestHead(head: string, before?: RequestHead): RequestHead | undefined {
  const isGet = head.startsWith('GET /')
  if (!isGet && !head.startsWith('HEAD /')) return undefined
  const from = isGet ? 4 : 5
  const to = head.indexOf(' ', from)
  const minor = to + VERSION.length
  const isOld = head.startsWith('0\r\n', minor)
  if (to === -1 || !head.startsWith(VERSION, to)) return undefined
  if (!isOld && !head.startsWith('1\r\n', minor)) return undefined
  const target = head.slice(from, to)
  if (INVALID_IN_TARGET.test(target)) return undefined
  const lines = head.slice(minor + 3)
  const method = isGet ? 'get' : 'head'
  if (before?.lines === lines && before.isOld === isOld) {
    const { headers, keepsAlive } = before
    return { method, target, headers, isOld, keepsAlive, lines }
  }
  if (!HEADER_LINES.test(lines)) return undefined
  const headers = readHeaders(lines)
  const keepsAlive = readConnection(headers, isOld)
  return keepsAlive === undefined
    ? undefined
    : { method, target, headers, isOld, keepsAlive, lines }
}

/** Names and values in turn. The lines must be well-formed. */
function readHeaders(lines: string): string[] {
  const headers: string[] = []
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    headers.push(lines.slice(at, colon), trimmed(lines, colon + 1, end))
    at = end + 2
  }
  return headers
}

/** Without the white space of HTTP, unlike `trim`, which also removes 0xa0 (RFC 9110 §5.6.3). */
function trimmed(lines: string, from: number, to: number): string {
  let [start, end] = [from, to]
  while (start < end && isBlank(lines.charCodeAt(start))) start++
  while (end > start && isBlank(lines.charCodeAt(end - 1))) end--
  return lines.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Whether the connection is kept; undefined when the headers ask for something of node:http. */
function readConnection(headers: readonly string[], isOld: boolean): boolean | undefined {
  let hosts = 0
  let connection: string | undefined
  for (let n = 0; n + 1 < headers.length; n += 2) {
    const name = (headers[n] as string).toLowerCase()
    if (OTHERS.has(name)) return undefined
    if (name === 'host') hosts++
    else if (name === 'connection') {
      if (connection !== undefined) return undefined
      connection = (headers[n + 1] as string).toLowerCase()
    }
  }
  if (hosts !== 1 && !(isOld && hosts === 0)) return undefined
  if (connection === undefined) return !isOld
  if (connection === 'keep-alive') return true
  return connection === 'close' ? false : undefined
}
