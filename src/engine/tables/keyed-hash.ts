/**
 * HalfSipHash-1-3 (Aumasson and Bernstein's SipHash on 32-bit words) with a key made at start. Strangers choose
 * info hashes and peer ids; without the key they cannot choose where these land, and so cannot pile them up.
 */
export type HashKey = readonly [number, number]

let v0 = 0
let v1 = 0
let v2 = 0
let v3 = 0

function round(): void {
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
}

function begin(key: HashKey): void {
  v0 = key[0]
  v1 = key[1]
  v2 = 0x6c796765 ^ key[0]
  v3 = 0x74656462 ^ key[1]
}

function absorb(view: DataView, at: number, words: number): void {
  for (let n = 0; n < words; n++) {
    const word = view.getInt32(at + n * 4, true)
    v3 ^= word
    round()
    v0 ^= word
  }
}

function finish(bytes: number): number {
  const last = bytes << 24
  v3 ^= last
  round()
  v0 ^= last
  v2 ^= 0xff
  round()
  round()
  round()
  return v1 ^ v3
}

/** Hash of the 20 bytes at `at`, a signed integer: an unsigned one of 32 bits would not be a small integer to V8. */
export function hashInfoHash(key: HashKey, view: DataView, at: number): number {
  begin(key)
  absorb(view, at, 5)
  return finish(20)
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
  begin(key)
  absorb(idView, idAt, 5)
  absorb(addressView, addressAt, addressBytes >> 2)
  return finish(20 + addressBytes)
}
