/** A decoder of UTF-8 writes this in place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd'

/**
 * The query with a character for each byte, as the parsers read it, from one that was decoded as
 * UTF-8. Every function of uWebSockets.js decodes it so, and none returns the bytes. Clients should
 * encode bytes from 0x80 on, and some do not. Bytes that are not UTF-8 are lost: REPLACEMENT stays
 * in their place, and the parsers refuse an info hash or peer id that contains it.
 */
export function bytesOfUtf8Query(query: string): string {
  // Only ASCII has one byte per character. A regular expression takes three times as long.
  if (Buffer.byteLength(query) === query.length) return query
  return query.split(REPLACEMENT).map(toBytes).join(REPLACEMENT)
}

function toBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
