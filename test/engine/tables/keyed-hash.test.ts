import t from 'tap'
import { hashInfoHash, hashPeer, hashSource } from '../../../src/engine/tables/keyed-hash.ts'

const view = new DataView(Uint8Array.from({ length: 64 }, (_, n) => n).buffer)

t.test('equal bytes have equal hashes, and every bit and the key matter', async t => {
  const key = [0x03020100, 0x07060504] as const
  const hash = hashInfoHash(key, view, 0)
  t.equal(hashInfoHash(key, view, 0), hash)
  t.not(hashInfoHash([0x03020100, 0x07060505], view, 0), hash)
  const changed = new DataView(view.buffer.slice(0))
  let flipped = 0
  for (let bit = 0; bit < 160; bit++) {
    changed.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)))
    let difference = hashInfoHash(key, changed, 0) ^ hash
    for (; difference !== 0; difference &= difference - 1) flipped++
    changed.setUint8(bit >> 3, view.getUint8(bit >> 3))
  }
  t.ok(Math.abs(flipped / 160 - 16) < 2, `a flipped bit flips ${flipped / 160} of 32`)
})

t.test('consecutive info hashes are distributed evenly over the slots', async t => {
  const places = new Uint32Array(256)
  for (let n = 0; n < 256 * 256; n++) {
    view.setUint32(0, n)
    const place = hashInfoHash([5, 9], view, 0) & 255
    places[place] = (places[place] ?? 0) + 1
  }
  t.ok(Math.max(...places) < 256 + 6 * 16 && Math.min(...places) > 256 - 6 * 16)
})

t.test('the source of a request is an IPv4 address in either form, or an IPv6 /64', async t => {
  const key = [0x12345678, 0x6789abcd] as const
  const bytes = new DataView(new ArrayBuffer(24))
  const addresses = 1 << 16
  const found = new Set<number>()
  const sets = new Uint32Array(256)
  for (let n = 0; n < addresses; n++) {
    bytes.setUint32(4, 0x0a000000 + n)
    const hash = hashSource(key, bytes, 4, true)
    found.add(hash)
    sets[hash & 255] = (sets[hash & 255] ?? 0) + 1
    if (n % 999 === 0) t.equal(hashSource(key, bytes, 0, false), hash, 'padded with zeros')
  }
  t.equal(found.size, addresses, 'no two addresses share a hash')
  t.ok(Math.max(...sets) < 256 + 6 * 16 && Math.min(...sets) > 256 - 6 * 16, 'evenly spread')
  bytes.setUint32(0, 0x20010db8)
  const hash = hashSource(key, bytes, 0, false)
  bytes.setUint32(8, 1)
  t.equal(hashSource(key, bytes, 0, false), hash, 'the second half does not count')
  t.not(hashSource([key[0], key[1] + 1], bytes, 0, false), hash)
})

t.test('a peer is identified by its id and its address', async t => {
  const key = [1, 2] as const
  const hash = hashPeer(key, view, 0, 20, 4)
  t.not(hashPeer(key, view, 4, 20, 4), hash)
  t.not(hashPeer(key, view, 0, 24, 4), hash)
  t.not(hashPeer(key, view, 0, 20, 16), hash)
})
