const RAW = /[\x80-\uffff]/
/** A decoder of UTF-8 writes this in place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd'

/**
 * The query with a character for each byte, as the parsers read it, from one that was decoded as
 * UTF-8: uWebSockets.js does so. Clients should encode bytes from 0x80 on, and some do not. Bytes
 * that are not UTF-8 are lost; such a query stays as it is, and the parsers refuse it.
 */
export function bytesOfUtf8Query(query: string): string {
  if (!RAW.test(query) || query.includes(REPLACEMENT)) return query
  return Buffer.from(query, 'utf8').toString('latin1')
}
