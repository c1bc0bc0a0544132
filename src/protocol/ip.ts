/** Addresses as text and as bytes in network order. For configuration, headers and dictionary answers: not for the hot path. */

/** The 4 bytes of a dotted quad, or undefined. Leading zeros are refused: some would read them as octal. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (let n = 0; n < 4; n++) {
    const part = parts[n] ?? ''
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    bytes[n] = Number(part)
  }
  return bytes
}

/** The 16 bytes of an IPv6 address (RFC 4291 §2.2), or undefined. No zone and no brackets. */
export function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  const tail = parseGroups(halves[1] ?? '', true)
  if (!head || !tail) return undefined
  const missing = 16 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(head)
  bytes.set(tail, 16 - tail.length)
  return bytes
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [n, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    } else {
      const quad = mayEndInIpv4 && n === groups.length - 1 ? parseIpv4(group) : undefined
      if (!quad) return undefined
      bytes.push(...quad)
    }
  }
  return bytes
}

/** The text of the 4 or 16 bytes at `at`: a dotted quad, or IPv6 as RFC 5952 §4 writes it. */
export function formatAddress(u8: Uint8Array, at: number, bytes: number): string {
  if (bytes === 4) return u8.subarray(at, at + 4).join('.')
  const groups = Array.from(
    { length: 8 },
    (_, n) => ((u8[at + n * 2] ?? 0) << 8) | (u8[at + n * 2 + 1] ?? 0),
  )
  const zeros = longestZeros(groups)
  const text = (part: number[]) => part.map(group => group.toString(16)).join(':')
  if (zeros.length < 2) return text(groups)
  return `${text(groups.slice(0, zeros.first))}::${text(groups.slice(zeros.first + zeros.length))}`
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: number[]): { first: number; length: number } {
  let best = { first: 0, length: 0 }
  for (let first = 0; first < groups.length; first++) {
    let length = 0
    while (groups[first + length] === 0) length++
    if (length > best.length) best = { first, length }
  }
  return best
}
