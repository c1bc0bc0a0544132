const HASH = /^[0-9a-f]{40}$/i

/** Characters of a wrong word that are shown again. */
const ECHO_CHARACTERS_MAX = 60

export function isHash(text: string): boolean {
  return HASH.test(text)
}

/** The hashes of a text, each once, apart by spaces, commas or lines; throws for a word that is none. */
export function readHashes(text: string): string[] {
  const words = text.split(/[\s,;]+/).filter(word => word !== '')
  const wrong = words.find(word => !isHash(word))
  if (wrong !== undefined) throw new Error(`“${cut(wrong)}” is not 40 hexadecimal digits.`)
  return [...new Set(words.map(word => word.toLowerCase()))]
}

export function cut(text: string): string {
  return text.length > ECHO_CHARACTERS_MAX ? `${text.slice(0, ECHO_CHARACTERS_MAX)}…` : text
}

/** One that nobody can guess. */
export function makeHash(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20))
  return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')
}
