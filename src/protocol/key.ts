import { hash } from 'node:crypto'
import { readHex } from './bytes.ts'
import { Failure } from './failures.ts'
import { HASH_BYTES } from './records.ts'

/**
 * Format of the keys of the tracker and of users. `hex` is 40 hexadecimal digits in either case;
 * `text` is also 8 to 64 characters that a URL needs no escapes for (RFC 3986, unreserved), in
 * which case matters.
 */
export type KeyFormat = 'hex' | 'text'

/** Hexadecimal digits of a key. */
export const KEY_DIGITS = HASH_BYTES * 2

const HEX = /^[0-9a-f]{40}$/i
const TEXT = /^[\w.~-]{8,64}$/

/** A regular expression for one key of the format, without anchors. */
export const KEY_PATTERN: Readonly<Record<KeyFormat, string>> = {
  hex: `[0-9A-Fa-f]{${KEY_DIGITS}}`,
  text: '[\\w.~-]{8,64}',
}

/**
 * A key as it is stored and listed: hexadecimal digits in lower case. Undefined if it is invalid.
 */
export function normalKey(text: string, format: KeyFormat): string | undefined {
  if (HEX.test(text)) return text.toLowerCase()
  return format === 'text' && TEXT.test(text) ? text : undefined
}

/** Whether a normal key is 40 hexadecimal digits, which its 20 bytes can be turned back into. */
export function isHexKey(key: string): boolean {
  return HEX.test(key)
}

/**
 * Writes the 20 bytes of a valid key to `at`, by which records and tables name it: those of its 40
 * digits, or the start of the SHA-256 of its characters.
 */
export function writeKeyBytes(key: string, into: Uint8Array, at: number): void {
  if (key.length === KEY_DIGITS && readHex(key, into, at)) return
  const digest = hash('sha256', key, 'binary')
  for (let n = 0; n < HASH_BYTES; n++) into[at + n] = digest.charCodeAt(n)
}

/** Reads a key of a request. Returns `invalid` for one of the wrong length or characters. */
export function readKey(
  text: string,
  format: KeyFormat,
  into: Uint8Array,
  at: number,
  invalid: Failure,
): Failure {
  if (format === 'text') {
    if (!TEXT.test(text)) return invalid
    writeKeyBytes(text, into, at)
    return Failure.none
  }
  if (text.length !== KEY_DIGITS) return invalid
  return readHex(text, into, at) ? Failure.none : Failure.undecodableKey
}
