import { HASH_BYTES } from './records.ts'

/**
 * Info hashes as text, and bytes as clients percent-encode them. For the API, tests and benches:
 * not for the hot path.
 */

const HEX_DIGITS = '0123456789abcdef'

/** The 20 bytes at `at` as 40 lower-case hex digits. */
export function formatInfoHash(u8: Uint8Array, at: number): string {
  let text = ''
  for (let n = at; n < at + HASH_BYTES; n++) text += hexOf(u8[n] ?? 0)
  return text
}

/** The 20 bytes of 40 hex digits of either case; undefined for any other text. */
export function parseInfoHash(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{40}$/i.test(text)) return undefined
  return Uint8Array.from({ length: HASH_BYTES }, (_, n) =>
    Number.parseInt(text.slice(n * 2, n * 2 + 2), 16),
  )
}

/**
 * Bytes percent-encoded for a query string: all but RFC 3986's unreserved characters, hex in lower
 * case.
 */
export function percentEncode(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    const character = String.fromCharCode(byte)
    text += /[\w.~-]/.test(character) ? character : `%${hexOf(byte)}`
  }
  return text
}

/**
 * The bytes of percent-encoded text, in which `+` stands for itself; undefined when a `%` has no
 * two hex digits behind it or a character is no byte.
 */
export function percentDecode(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes: number[] = []
  for (let n = 0; n < text.length; n++) {
    const code = text.charCodeAt(n)
    if (code > 0xff) return undefined
    if (code !== 0x25) {
      bytes.push(code)
      continue
    }
    const digits = text.slice(n + 1, n + 3)
    if (!/^[0-9a-f]{2}$/i.test(digits)) return undefined
    bytes.push(Number.parseInt(digits, 16))
    n += 2
  }
  return Uint8Array.from(bytes)
}

function hexOf(byte: number): string {
  return `${HEX_DIGITS[byte >> 4]}${HEX_DIGITS[byte & 0xf]}`
}
