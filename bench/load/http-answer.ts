const CONTENT_LENGTH = /content-length: ?(\d+)/i

/** Returns the length of the answer's body in `bytes`, or -1 while it is incomplete. */
export function bodyLength(bytes: Buffer): number {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return -1
  const [, digits] = CONTENT_LENGTH.exec(bytes.toString('latin1', 0, end)) ?? []
  const length = Number(digits ?? 0)
  return bytes.length >= end + 4 + length ? length : -1
}
