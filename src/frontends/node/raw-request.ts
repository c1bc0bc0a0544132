import type { Socket } from 'node:net'
import { RequestMessage } from './request-message.ts'

const HEAD_END = '\r\n\r\n'
const REQUEST_LINE = /^(GET|HEAD) (\/[^\0-\x20]*) HTTP\/1\.([01])$/
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0\r\n]*)$/
/** A request with a body is not read here. */
const BODY_HEADERS = new Set(['content-length', 'transfer-encoding'])

/**
 * Reads a request that Node refused for its target, `bytesParsed` bytes into `packet`. Node does
 * not accept bytes from 0x80 on there, which a client may send unencoded in info_hash and peer_id.
 * The characters of `url` are bytes. Undefined if the whole head is not in the packet, or if
 * something else is wrong with the request.
 */
export function readRawRequest(
  packet: Buffer,
  bytesParsed: number,
  socket: Socket,
): RequestMessage | undefined {
  const before = packet.subarray(0, bytesParsed).lastIndexOf(HEAD_END)
  const start = before === -1 ? 0 : before + HEAD_END.length
  const end = packet.indexOf(HEAD_END, bytesParsed)
  if (end === -1) return undefined
  const lines = packet.toString('latin1', start, end).trimStart().split('\r\n')
  const [, method, url, minor] = REQUEST_LINE.exec(lines.shift() ?? '') ?? []
  const headers = lines.map(line => HEADER_LINE.exec(line))
  const names = headers.map(header => header?.[1]?.toLowerCase() ?? '')
  if (method === undefined || url === undefined || names.includes('')) return undefined
  if (names.some(name => BODY_HEADERS.has(name))) return undefined
  if (minor === '1' && names.filter(name => name === 'host').length !== 1) return undefined
  const request = new RequestMessage(socket)
  request.method = method
  request.url = url
  request.httpVersionMajor = 1
  request.httpVersionMinor = Number(minor)
  request.httpVersion = `1.${minor}`
  request.rawHeaders = headers.flatMap(header => [header?.[1] ?? '', header?.[2]?.trim() ?? ''])
  request.complete = true
  request.isWithoutBody = true
  return request
}
