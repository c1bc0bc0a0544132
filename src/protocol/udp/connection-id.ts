import { hkdfSync, randomFillSync } from 'node:crypto'

/**
 * Stateless connection ids (BEP 15): SipHash-2-4 (Aumasson and Bernstein), with a key made at
 * start, over the client's address and the current slot of two minutes. An id is valid in its slot
 * and the next one, that is for two to four minutes.
 *
 * An id proves that its sender received it at this address. SipHash is a pseudorandom function
 * under a 128-bit key, so ids of other addresses or other times reveal nothing about this one; an
 * attacker can only guess 64 bits, and a wrong guess is not answered. IPv4 and IPv6 cannot be
 * confused, because SipHash covers the length of its input. The port is not part of the input: NATs
 * change it between two packets.
 */
export type ConnectionSecret = Int32Array

/**
 * Seconds of one slot; BEP 15 has clients use an id for one minute and trackers accept it for two.
 */
export const SLOT_SECONDS = 120

/**
 * Creates the key that all threads of a tracker must share. From a secret that several trackers
 * share, each of them derives the same key (HKDF, RFC 5869), so that an id is valid on all of them.
 */
export function createConnectionSecret(shared = ''): ConnectionSecret {
  if (shared !== '') return new Int32Array(hkdfSync('sha256', shared, '', 'muster udp', 16))
  return randomFillSync(new Int32Array(4))
}

/** The address of a client, `bytes` (4 or 16) at `at`. One object is reused for all packets. */
export type ClientAddress = { view: DataView; at: number; readonly bytes: number }

/** Writes the id of the client to `outAt`. */
export function writeConnectionId(
  secret: ConnectionSecret,
  { at, bytes, view }: ClientAddress,
  nowSeconds: number,
  out: DataView,
  outAt: number,
): void {
  digestAddress(secret, view, at, bytes >> 2, slotOf(nowSeconds))
  out.setInt32(outAt, digest[0] as number)
  out.setInt32(outAt + 4, digest[1] as number)
}

/**
 * Whether the id at `idAt` was issued to this client in this slot or the one before. The words are
 * compared completely, so the time reveals nothing.
 */
export function isConnectionId(
  secret: ConnectionSecret,
  { at, bytes, view }: ClientAddress,
  nowSeconds: number,
  id: DataView,
  idAt: number,
): boolean {
  const words = bytes >> 2
  const slot = slotOf(nowSeconds)
  const first = id.getInt32(idAt)
  const second = id.getInt32(idAt + 4)
  digestAddress(secret, view, at, words, slot)
  if (((first ^ (digest[0] as number)) | (second ^ (digest[1] as number))) === 0) return true
  digestAddress(secret, view, at, words, slot - 1)
  return ((first ^ (digest[0] as number)) | (second ^ (digest[1] as number))) === 0
}

/** A slot that no clock reaches: hashes of `hashAddress` are never connection ids. */
const NO_SLOT = 0x7fff_ffff

/**
 * Writes a keyed hash of the address: two words. Two IPv4 addresses never have the same hash: for
 * them, a keyed bijection is enough, because a client cannot choose from many addresses.
 */
export function hashAddress(
  secret: ConnectionSecret,
  { at, bytes, view }: ClientAddress,
  out: Int32Array,
): void {
  if (bytes === 4) {
    const word = Math.imul(view.getInt32(at) ^ (secret[0] as number), 0x85ebca6b)
    const mixed = Math.imul(word ^ (word >>> 15) ^ (secret[1] as number), 0xc2b2ae35)
    out[0] = mixed ^ (mixed >>> 16)
    out[1] = secret[2] as number
    return
  }
  digestAddress(secret, view, at, bytes >> 2, NO_SLOT)
  out[0] = digest[0] as number
  out[1] = digest[1] as number
}

function slotOf(nowSeconds: number): number {
  return Math.floor(nowSeconds / SLOT_SECONDS) | 0
}

/** The hash last computed: high word, low word. */
const digest = new Int32Array(2)

/**
 * SipHash-2-4 of the address's words and the slot, all little-endian. 64-bit words are pairs of
 * 32-bit integers, low and high, because BigInt allocates. Input: 8 bytes for IPv4, 20 for IPv6;
 * the last block ends with the length.
 */
function digestAddress(
  secret: ConnectionSecret,
  view: DataView,
  at: number,
  words: number,
  slot: number,
): void {
  const k0 = secret[0] as number
  const k1 = secret[1] as number
  const k2 = secret[2] as number
  const k3 = secret[3] as number
  let a = 0x70736575 ^ k0
  let aHigh = 0x736f6d65 ^ k1
  let b = 0x6e646f6d ^ k2
  let bHigh = 0x646f7261 ^ k3
  let c = 0x6e657261 ^ k0
  let cHigh = 0x6c796765 ^ k1
  let d = 0x79746573 ^ k2
  let dHigh = 0x74656462 ^ k3
  const blocks = words === 1 ? 2 : 3
  const last = blocks * 2 - 1
  for (let block = 0; block <= blocks; block++) {
    const n = block * 2
    let low = 0
    let high = 0
    if (block < blocks) {
      low = n < words ? view.getInt32(at + n * 4, true) : n === words ? slot : 0
      if (n + 1 === last) high = (words + 1) << 26
      else high = n + 1 < words ? view.getInt32(at + n * 4 + 4, true) : slot
      d ^= low
      dHigh ^= high
    } else c ^= 0xff
    for (let round = block < blocks ? 2 : 4; round > 0; round--) {
      a = (a + b) | 0
      aHigh = (aHigh + bHigh + (a >>> 0 < b >>> 0 ? 1 : 0)) | 0
      let t = (b << 13) | (bHigh >>> 19)
      bHigh = ((bHigh << 13) | (b >>> 19)) ^ aHigh
      b = t ^ a
      t = a
      a = aHigh
      aHigh = t
      c = (c + d) | 0
      cHigh = (cHigh + dHigh + (c >>> 0 < d >>> 0 ? 1 : 0)) | 0
      t = (d << 16) | (dHigh >>> 16)
      dHigh = ((dHigh << 16) | (d >>> 16)) ^ cHigh
      d = t ^ c
      a = (a + d) | 0
      aHigh = (aHigh + dHigh + (a >>> 0 < d >>> 0 ? 1 : 0)) | 0
      t = (d << 21) | (dHigh >>> 11)
      dHigh = ((dHigh << 21) | (d >>> 11)) ^ aHigh
      d = t ^ a
      c = (c + b) | 0
      cHigh = (cHigh + bHigh + (c >>> 0 < b >>> 0 ? 1 : 0)) | 0
      t = (b << 17) | (bHigh >>> 15)
      bHigh = ((bHigh << 17) | (b >>> 15)) ^ cHigh
      b = t ^ c
      t = c
      c = cHigh
      cHigh = t
    }
    a ^= low
    aHigh ^= high
  }
  digest[0] = aHigh ^ bHigh ^ cHigh ^ dHigh
  digest[1] = a ^ b ^ c ^ d
}
