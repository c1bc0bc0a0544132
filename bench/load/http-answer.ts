const CONTENT_LENGTH = /content-length: ?(\d+)/i
const CHUNKED = /transfer-encoding: ?chunked/i
const ENCODED = /content-encoding: ?\w/i
const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'
/** First byte of a bencoded dictionary. */
const DICTIONARY = 0x64

/**
 * Returns the length of the answer's body in `bytes`, or -1 while it is incomplete. The length of a
 * body in chunks includes their heads.
 */
export function bodyLength(bytes: Buffer): number {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return -1
  const head = bytes.toString('latin1', 0, end)
  const body = end + HEAD_END.length
  if (CHUNKED.test(head)) {
    const isComplete = bytes.length > body && bytes.subarray(-LAST_CHUNK.length).equals(LAST)
    return isComplete ? bytes.length - body : -1
  }
  const [, digits] = CONTENT_LENGTH.exec(head) ?? []
  const length = Number(digits ?? 0)
  return bytes.length >= body + length ? length : -1
}

const LAST = Buffer.from(LAST_CHUNK)

/** Whether a complete answer has a dictionary as its body, or a compressed body. */
export function isDictionary(bytes: Buffer, length: number): boolean {
  if (bytes[bytes.length - length] === DICTIONARY) return true
  return ENCODED.test(bytes.toString('latin1', 0, bytes.length - length))
}
