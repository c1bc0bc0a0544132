const HASH = /^[0-9a-f]{40}$/i

/** Maximum characters of an invalid word in an error message. */
const ECHO_CHARACTERS_MAX = 60

export function isHash(text: string): boolean {
  return HASH.test(text)
}

/**
 * Returns the distinct hashes of a text, separated by spaces, commas or new lines. Throws for a
 * word that is not a hash.
 */
export function readHashes(text: string): string[] {
  const words = text.split(/[\s,;]+/).filter(word => word !== '')
  const wrong = words.find(word => !isHash(word))
  if (wrong !== undefined) throw new Error(`“${cut(wrong)}” is not 40 hexadecimal digits.`)
  return [...new Set(words.map(word => word.toLowerCase()))]
}

const KEY = /^[\w.~-]{8,64}$/

/** Whether a word can be a key. The tracker may accept only keys of 40 hexadecimal digits. */
export function isKey(text: string): boolean {
  return KEY.test(text)
}

/** Returns the distinct keys of a text, as `readHashes` does with hashes. */
export function readKeys(text: string): string[] {
  const words = text.split(/[\s,;]+/).filter(word => word !== '')
  const wrong = words.find(word => !isKey(word))
  if (wrong !== undefined) throw new Error(`“${cut(wrong)}” is not a key.`)
  return [...new Set(words.map(word => (isHash(word) ? word.toLowerCase() : word)))]
}

export function cut(text: string): string {
  return text.length > ECHO_CHARACTERS_MAX ? `${text.slice(0, ECHO_CHARACTERS_MAX)}…` : text
}

/** Returns a random hash. */
export function makeHash(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20))
  return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')
}
