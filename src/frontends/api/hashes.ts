import { type KeyFormat, normalKey } from '../../protocol/key.ts'
import { type Reply, statusReply } from './replies.ts'

/** Name of a hash in answers. */
export type HashName = 'info_hash' | 'key_hash' | 'user_hash'

const HASH = /^[0-9a-f]{40}$/i

/** An answer repeats an invalid value of at most this many characters. */
const ECHO_CHARACTERS_MAX = 40

export function isHash(text: string): boolean {
  return HASH.test(text)
}

/**
 * Returns the hash of a path in lower case, or the refusal. A value with either the right length or
 * only hexadecimal digits is `invalid` and repeated. Every other value is `bad`.
 */
export function readHash(text: string, name: HashName): string | Reply {
  if (isHash(text)) return text.toLowerCase()
  const isClose = text.length === 40 || /^[0-9a-f]+$/i.test(text)
  return isClose ? invalid(name, text) : statusReply(400, `bad ${name}`)
}

/** Returns a key of the tracker or of a user as it is stored, or the refusal. */
export function readKey(text: string, name: HashName, format: KeyFormat): string | Reply {
  if (format === 'hex') return readHash(text, name)
  return normalKey(text, format) ?? invalid(name, text)
}

/** Returns the distinct keys of a list as they are stored, in the list's order. */
export function uniqueKeys(list: readonly string[], format: KeyFormat): string[] {
  return [...new Set(list.map(text => normalKey(text, format) ?? text))]
}

/** Refuses a value, and repeats it if it is short. */
export function invalid(name: string, text: string): Reply {
  const isShort = text.length > 0 && text.length <= ECHO_CHARACTERS_MAX
  return statusReply(400, isShort ? `invalid ${name} ${text}` : `bad ${name}`)
}

/** Returns the distinct hashes of a list in lower case, in the list's order. */
export function uniqueHashes(list: readonly string[]): string[] {
  return [...new Set(list.map(hash => hash.toLowerCase()))]
}

/** Returns a count of a path, 0 to `maximum`, or the refusal. */
export function readCount(
  text: string,
  name: string,
  maximum = Number.MAX_SAFE_INTEGER,
): number | Reply {
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return count <= maximum ? count : invalid(name, text)
}

/** Returns a count of bytes of a path, 0 to 2^63 - 1, or the refusal. */
export function readBytes(text: string, name: string): bigint | Reply {
  const bytes = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n
  return isBytes(bytes) ? bytes : invalid(name, text)
}

/** Whether a value of a body is a count of bytes, 0 to 2^63 - 1. */
export function isBytes(value: unknown): value is number | bigint {
  if (typeof value === 'bigint') return value >= 0n && value < 2n ** 63n
  return Number.isSafeInteger(value) && (value as number) >= 0
}
