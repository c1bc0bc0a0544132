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

/** Bits of each of the four bytes in a word. */
const EACH_LOWEST = 0x0101_0101
const EACH_FIFTH = 0x1010_1010
const EACH_SIX = 0x0606_0606
const LOW_HALVES = 0x0f0f_0f0f
const HIGH_HALVES = 0xf0f0_f0f0
const HIGH_OF_DIGITS = 0x3030_3030

/**
 * Decodes `digits` hex digits, a multiple of four, of either case, at `from` of `source` to `out`
 * at `at`. Returns false, after writing other bytes, if one of them is another character. Works on
 * four digits at once: a character is valid if its high half is 3 and its low half at most 9, or if
 * its high half is 4 or 6 and its low half from 1 to 6.
 */
export function copyHex(
  source: DataView,
  from: number,
  digits: number,
  out: DataView,
  at: number,
): boolean {
  let wrong = 0
  for (let n = 0; n < digits; n += 4) {
    const text = source.getInt32(from + n)
    const letters = (text >>> 6) & EACH_LOWEST
    const values = (text & LOW_HALVES) + letters * 9
    const high = text & HIGH_HALVES & ~(letters << 5)
    const areLetters = ((values + EACH_SIX) >>> 4) & EACH_LOWEST
    wrong |= high ^ HIGH_OF_DIGITS ^ (letters * 0x70)
    wrong |= (areLetters ^ letters) | (values & EACH_FIFTH)
    const bytes = values | (values >>> 4)
    out.setUint16(at + (n >> 1), ((bytes >>> 8) & 0xff00) | (bytes & 0xff))
  }
  return wrong === 0
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
