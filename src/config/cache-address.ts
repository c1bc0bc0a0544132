/**
 * The parts of a cache address: `HOST:PORT`, optionally with a scheme, a user and a password before
 * it, and a path after it. Returns undefined for anything else.
 */
export function parseCacheAddress(text: string): URL | undefined {
  const whole = /^[a-z][a-z+]*:\/\//i.test(text) ? text : `cache://${text}`
  if (!URL.canParse(whole)) return undefined
  const url = new URL(whole)
  return url.hostname === '' ? undefined : url
}

/** The address without its password. */
export function maskCacheAddress(text: string): string {
  return text.replace(/^((?:[a-z+]+:\/\/)?[^:/@]*):.*@/i, '$1:********@')
}
