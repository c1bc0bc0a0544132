import { isHash } from '../hashes.ts'
import { type Reply, statusReply } from '../replies.ts'

/** Name of a hash in the texts of Torrust-Actix. */
type Name = 'info_hash' | 'key_hash'

/** An entry of a bulk request: the text as the client sent it, which names it in the answer. */
export type Named = readonly [text: string, hash: string]

/** Torrust-Actix silently skips every entry of another length. */
export function hasHashLength(text: string): boolean {
  return Buffer.byteLength(text) === 40
}

/** Returns the hash of a path in lower case, or the refusal. `invalid` is its last word. */
export function readHash(text: string, name: Name, invalid: string = name): string | Reply {
  if (!hasHashLength(text)) return statusReply(400, `bad ${name}`)
  return isHash(text) ? text.toLowerCase() : statusReply(400, `invalid ${invalid}`)
}

/** The distinct entries of the right length: the hashes, and the entries that are not hashes. */
export function splitEntries(texts: Iterable<string>): {
  readonly named: readonly Named[]
  readonly invalid: readonly string[]
} {
  const named: Named[] = []
  const invalid: string[] = []
  for (const text of new Set(texts)) {
    if (!hasHashLength(text)) continue
    if (isHash(text)) named.push([text, text.toLowerCase()])
    else invalid.push(text)
  }
  return { named, invalid }
}

/** The value of a bulk answer for each entry: `{"status": …}`. */
export function statuses(
  named: readonly Named[],
  statusOf: (index: number) => string,
): Record<string, { status: string }> {
  return Object.fromEntries(named.map(([text], n) => [text, { status: statusOf(n) }]))
}

export function hashesOf(named: readonly Named[]): string[] {
  return named.map(([, hash]) => hash)
}
