/**
 * One block of memory seen as single bytes and as integers. Records, frames and packets are read
 * and written through it, so that no view is created per request.
 */
export type Bytes<B extends ArrayBufferLike = ArrayBufferLike> = {
  readonly u8: Uint8Array<B>
  readonly view: DataView<B>
}

/** Zeroed private memory of `size` bytes. */
export function allocate(size: number): Bytes<ArrayBuffer> {
  return bytesOf(new Uint8Array(size))
}

/** Views of the same memory as `u8`; nothing is copied. */
export function bytesOf<B extends ArrayBufferLike>(u8: Uint8Array<B>): Bytes<B> {
  return { u8, view: new DataView(u8.buffer, u8.byteOffset, u8.byteLength) }
}

/**
 * Value of the hex digit with this character code, of either case; -1 for any other byte. A table,
 * because branches on random digits are mispredicted.
 */
export const HEX_DIGITS = Int8Array.from({ length: 256 }, (_, code) => {
  const text = String.fromCharCode(code)
  return /[0-9a-f]/i.test(text) ? Number.parseInt(text, 16) : -1
})

/**
 * Decodes `digits` hex digits, an even number of them, of either case, at `from` of `source` to
 * `out` at `at`. Returns false, after writing other bytes, if one of them is another character.
 */
export function copyHex(
  source: Uint8Array,
  from: number,
  digits: number,
  out: Uint8Array,
  at: number,
): boolean {
  let all = 0
  for (let n = 0; n < digits; n += 2) {
    const high = HEX_DIGITS[source[from + n]!]!
    const low = HEX_DIGITS[source[from + n + 1]!]!
    all |= high | low
    out[at + (n >> 1)] = (high << 4) | low
  }
  return all >= 0
}

/**
 * Decodes the text, hex digits of either case, to `out` at `at`. Returns false, possibly after
 * writing some bytes, for an odd number of digits or any other character.
 */
export function readHex(text: string, out: Uint8Array, at: number): boolean {
  if (text.length % 2 !== 0) return false
  for (let n = 0; n < text.length; n += 2) {
    const high = HEX_DIGITS[text.charCodeAt(n)] ?? -1
    const low = HEX_DIGITS[text.charCodeAt(n + 1)] ?? -1
    if (high === -1 || low === -1) return false
    out[at + (n >> 1)] = (high << 4) | low
  }
  return true
}
