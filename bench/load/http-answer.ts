const CONTENT_LENGTH = /content-length: ?(\d+)/i

/** Length of the body of the answer in `bytes`; -1 while it is not whole. */
export function bodyLength(bytes: Buffer): number {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return -1
  const [, digits] = CONTENT_LENGTH.exec(bytes.toString('latin1', 0, end)) ?? []
  const length = Number(digits ?? 0)
  return bytes.length >= end + 4 + length ? length : -1
}
