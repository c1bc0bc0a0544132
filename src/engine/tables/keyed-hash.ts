/**
 * HalfSipHash-1-3 (Aumasson and Bernstein's SipHash on 32-bit words) with a key made at start.
 * Clients choose info hashes and peer ids. Without the key they cannot choose where these land in a
 * table, and so cannot pile them up.
 */
export type HashKey = readonly [number, number]

const FINAL_ROUNDS = 3

/**
 * Hash of the 20 bytes at `at`, a signed integer: V8 cannot keep an unsigned one of 32 bits as a
 * small integer.
 */
export function hashInfoHash(key: HashKey, view: DataView, at: number): number {
  return hashWords(key, view, at, 5, view, at, 0)
}

/**
 * Signed hash of the source of a request: the IPv4 address at `at`, or the first eight bytes of the
 * IPv6 address. An IPv4 address padded with four zero bytes in front has the same hash.
 */
export function hashSource(key: HashKey, view: DataView, at: number, isIpv4: boolean): number {
  if (isIpv4) return hashIpv4(key, view.getInt32(at, true))
  if (view.getInt32(at, true) === 0) return hashIpv4(key, view.getInt32(at + 4, true))
  return hashWords(key, view, at, 2, view, at, 0)
}

/**
 * A keyed bijection: two IPv4 addresses never have the same hash. It is weaker than SipHash. This
 * is enough, because a client cannot choose from many IPv4 addresses.
 */
function hashIpv4(key: HashKey, address: number): number {
  const word = Math.imul(address ^ key[0], 0x85ebca6b)
  const mixed = Math.imul(word ^ (word >>> 15) ^ key[1], 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** Signed hash of a peer's identity: the 20 bytes of its id and its address of `addressBytes`. */
export function hashPeer(
  key: HashKey,
  view: DataView,
  idAt: number,
  addressAt: number,
  addressBytes: number,
): number {
  return hashWords(key, view, idAt, 5, view, addressAt, addressBytes >> 2)
}

/**
 * Hash of the `words` words at `at` followed by the `moreWords` words at `moreAt`. One function
 * with its state in locals: with module variables it takes three times as long.
 */
function hashWords(
  key: HashKey,
  view: DataView,
  at: number,
  words: number,
  more: DataView,
  moreAt: number,
  moreWords: number,
): number {
  const all = words + moreWords
  let v0 = key[0]
  let v1 = key[1]
  let v2 = 0x6c796765 ^ key[0]
  let v3 = 0x74656462 ^ key[1]
  for (let n = 0; n < all + 1 + FINAL_ROUNDS; n++) {
    let word = 0
    if (n < words) word = view.getInt32(at + n * 4, true)
    else if (n < all) word = more.getInt32(moreAt + (n - words) * 4, true)
    else if (n === all) word = all << 26
    else if (n === all + 1) v2 ^= 0xff
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  return v1 ^ v3
}
