/** The writers that a tracker's answer needs. Each writes at `at` and returns where it ended. */

const encoder = new TextEncoder()

/** A literal piece of bencode, such as a key with its length, ready to be copied. */
export function literal(text: string): Uint8Array {
  return encoder.encode(text)
}

export function writeLiteral(out: Uint8Array, at: number, bytes: Uint8Array): number {
  // Keys are a dozen bytes, for which a loop is quicker than `set`.
  for (let n = 0; n < bytes.length; n++) out[at + n] = bytes[n] as number
  return at + bytes.length
}

/** Decimal digits of a whole number from 0 to 2^53. */
export function writeDigits(out: Uint8Array, at: number, value: number): number {
  let end = at + 1
  for (let bound = 10; value >= bound; bound *= 10) end++
  let place = end - 1
  let rest = value
  for (; rest > 0x3fff_ffff; place--) {
    const next = Math.floor(rest / 10)
    // The difference first: 2^53 and more are not whole.
    out[place] = 0x30 + (rest - next * 10)
    rest = next
  }
  // Small integers divide without a division.
  for (let small = rest | 0; place >= at; place--) {
    const next = (small / 10) | 0
    out[place] = 0x30 + small - next * 10
    small = next
  }
  return end
}

/** `i…e` */
export function writeInteger(out: Uint8Array, at: number, value: number): number {
  out[at] = 0x69
  const end = writeDigits(out, at + 1, value)
  out[end] = 0x65
  return end + 1
}

/** The `length:` before the bytes of a string. */
export function writeStringHead(out: Uint8Array, at: number, length: number): number {
  const end = writeDigits(out, at, length)
  out[end] = 0x3a
  return end + 1
}

/** Above this, making a view to copy with `set` costs less than the loop that it saves. */
const LOOP_BYTES_MAX = 160

/** A string of `length` bytes copied from `from`. */
export function writeString(
  out: Uint8Array,
  at: number,
  from: Uint8Array,
  fromAt: number,
  length: number,
): number {
  const begin = writeStringHead(out, at, length)
  if (length > LOOP_BYTES_MAX) out.set(from.subarray(fromAt, fromAt + length), begin)
  else for (let n = 0; n < length; n++) out[begin + n] = from[fromAt + n] as number
  return begin + length
}

/** A string of characters below 128. */
export function writeText(out: Uint8Array, at: number, text: string): number {
  const begin = writeStringHead(out, at, text.length)
  for (let n = 0; n < text.length; n++) out[begin + n] = text.charCodeAt(n)
  return begin + text.length
}
