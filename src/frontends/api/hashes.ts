import { type Reply, statusReply } from './replies.ts'

/** What a hash is called in answers. */
export type HashName = 'info_hash' | 'key_hash' | 'user_hash'

const HASH = /^[0-9a-f]{40}$/i

/** Characters of a wrong value that an answer repeats. */
const ECHO_CHARACTERS_MAX = 40

export function isHash(text: string): boolean {
  return HASH.test(text)
}

/**
 * The hash of a path in lower case, or the refusal. Text that is wrong in one way, its digits or its length, is `invalid` and repeated;
 * what looks like no hash at all is `bad`.
 */
export function readHash(text: string, name: HashName): string | Reply {
  if (isHash(text)) return text.toLowerCase()
  const isClose = text.length === 40 || /^[0-9a-f]+$/i.test(text)
  return isClose ? invalid(name, text) : statusReply(400, `bad ${name}`)
}

/** Refuses a value, which is repeated when it is short enough. */
export function invalid(name: string, text: string): Reply {
  const isShort = text.length > 0 && text.length <= ECHO_CHARACTERS_MAX
  return statusReply(400, isShort ? `invalid ${name} ${text}` : `bad ${name}`)
}

/** Hashes of a list in lower case, each once, in the list's order. */
export function uniqueHashes(list: readonly string[]): string[] {
  return [...new Set(list.map(hash => hash.toLowerCase()))]
}

/** A count of a path, 0 to 2^53 - 1, or the refusal. */
export function readCount(text: string, name: string): number | Reply {
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(count) ? count : invalid(name, text)
}
