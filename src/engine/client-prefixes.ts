const NO_NODE = 0
const END = 0xffff
/** Maximum length of a prefix: a whole peer id. */
const PREFIX_BYTES_MAX = 20

/**
 * Prefixes of peer ids as a trie. A node has 256 words: the next node, END where a prefix ends, or
 * NO_NODE where no prefix continues.
 */
export type ClientPrefixes = Uint16Array

/** Compiles prefixes, of one to 20 characters of Latin-1. Undefined when there are none. */
export function compilePrefixes(prefixes: readonly string[]): ClientPrefixes | undefined {
  if (prefixes.length === 0) return undefined
  const nodes = [new Uint16Array(256)]
  for (const prefix of prefixes) {
    let node = nodes[0]
    for (const [n, byte] of [...Buffer.from(prefix, 'latin1')].entries()) {
      if (!node || node[byte] === END) break
      if (n === prefix.length - 1) node[byte] = END
      else {
        if (node[byte] === NO_NODE) node[byte] = nodes.push(new Uint16Array(256)) - 1
        node = nodes[node[byte]!]
      }
    }
  }
  const trie = new Uint16Array(nodes.length * 256)
  for (const [n, node] of nodes.entries()) trie.set(node, n * 256)
  return trie
}

/** Whether one of the prefixes begins the peer id at `at`. */
export function hasPrefix(trie: ClientPrefixes, u8: Uint8Array, at: number): boolean {
  let node = 0
  for (let n = 0; n < PREFIX_BYTES_MAX; n++) {
    node = trie[node * 256 + u8[at + n]!]!
    if (node === END) return true
    if (node === NO_NODE) return false
  }
  return false
}
