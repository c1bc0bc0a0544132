/**
 * HalfSipHash-1-3 (Aumasson and Bernstein's SipHash on 32-bit words) with a key made at start. Strangers choose
 * info hashes and peer ids; without the key they cannot choose where these land, and so cannot pile them up.
 */
export type HashKey = readonly [number, number]

const FINAL_ROUNDS = 3

/** Hash of the 20 bytes at `at`, a signed integer: an unsigned one of 32 bits would not be a small integer to V8. */
export function hashInfoHash(key: HashKey, view: DataView, at: number): number {
  return hashWords(key, view, at, 5, view, at, 0)
}

const ZERO = new DataView(new ArrayBuffer(4))

/** Hash, signed too, of where something came from: the IPv4 address at `at`, which four zero bytes go before, or the first eight of IPv6. */
export function hashSource(key: HashKey, view: DataView, at: number, isIpv4: boolean): number {
  return isIpv4 ? hashWords(key, ZERO, 0, 1, view, at, 1) : hashWords(key, view, at, 2, view, at, 0)
}

/** Hash, signed too, of who a peer is: the 20 bytes of its id and the 4 or 16 of its address. */
export function hashPeer(
  key: HashKey,
  idView: DataView,
  idAt: number,
  addressView: DataView,
  addressAt: number,
  addressBytes: number,
): number {
  return hashWords(key, idView, idAt, 5, addressView, addressAt, addressBytes >> 2)
}

/**
 * Hash of `words` words at `at`, and of `moreWords` at `moreAt` after them. One function with its state in locals: module variables would cost
 * it three times as much.
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
