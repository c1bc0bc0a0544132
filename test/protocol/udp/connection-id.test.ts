import t from 'tap'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import {
  createConnectionSecret,
  isConnectionId,
  SLOT_SECONDS,
  writeConnectionId,
} from '../../../src/protocol/udp/connection-id.ts'
import { testSeed } from '../../fixtures/seed.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'

const MASK = 2n ** 64n - 1n

/** SipHash-2-4 straight from the paper, on BigInts. */
function sipHash(key: Uint8Array, message: Uint8Array): bigint {
  const word = (bytes: Uint8Array, at: number) => Buffer.from(bytes).readBigUInt64LE(at)
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & MASK
  const k0 = word(key, 0)
  const k1 = word(key, 8)
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ] as [bigint, bigint, bigint, bigint]
  const round = () => {
    v[0] = (v[0] + v[1]) & MASK
    v[1] = rotate(v[1], 13n) ^ v[0]
    v[0] = rotate(v[0], 32n)
    v[2] = (v[2] + v[3]) & MASK
    v[3] = rotate(v[3], 16n) ^ v[2]
    v[0] = (v[0] + v[3]) & MASK
    v[3] = rotate(v[3], 21n) ^ v[0]
    v[2] = (v[2] + v[1]) & MASK
    v[1] = rotate(v[1], 17n) ^ v[2]
    v[2] = rotate(v[2], 32n)
  }
  const padded = Buffer.alloc((Math.floor(message.length / 8) + 1) * 8)
  padded.set(message)
  padded[padded.length - 1] = message.length
  for (let at = 0; at < padded.length; at += 8) {
    const block = padded.readBigUInt64LE(at)
    v[3] ^= block
    round()
    round()
    v[0] ^= block
  }
  v[2] ^= 0xffn
  for (let n = 0; n < 4; n++) round()
  return v[0] ^ v[1] ^ v[2] ^ v[3]
}

function idOf(secret: Int32Array, address: Uint8Array, nowSeconds: number): Buffer {
  const view = bytesOf(Uint8Array.from([7, 7, 7, ...address])).view
  const out = bytesOf(new Uint8Array(10))
  writeConnectionId(secret, { view, at: 3, bytes: address.length }, nowSeconds, out.view, 2)
  return Buffer.from(out.u8.subarray(2))
}

function isValid(
  secret: Int32Array,
  address: Uint8Array,
  nowSeconds: number,
  id: Uint8Array,
): boolean {
  const view = bytesOf(Uint8Array.from([7, ...address])).view
  const at = bytesOf(Uint8Array.from([1, 2, ...id])).view
  return isConnectionId(secret, { view, at: 1, bytes: address.length }, nowSeconds, at, 2)
}

const SECRET = createConnectionSecret()
const IPV4 = Uint8Array.of(192, 0, 2, 1)
const IPV6 = Uint8Array.from(Buffer.from('20010db8000000000000000000000001', 'hex'))
const START = 1_700_000_000 - (1_700_000_000 % SLOT_SECONDS)

t.test('the model agrees with the vector of the SipHash paper', async t => {
  const bytes = Uint8Array.from({ length: 16 }, (_, n) => n)
  t.equal(sipHash(bytes, bytes.subarray(0, 15)), 0xa129ca6149be45e5n)
})

t.test('an id is the SipHash-2-4 of address and slot', async t => {
  const seed = testSeed(t)
  const random = seededRandom(seed)
  for (let round = 0; round < 2000; round++) {
    const secret = Int32Array.from({ length: 4 }, () => random(2 ** 31) - random(2 ** 31))
    const address = Uint8Array.from({ length: round % 2 ? 4 : 16 }, () => random(256))
    const nowSeconds = random(2 ** 31)
    const message = Buffer.alloc(address.length + 4)
    message.set(address)
    message.writeUInt32LE(Math.floor(nowSeconds / 120), address.length)
    const expected = sipHash(new Uint8Array(secret.buffer), message)
    t.equal(idOf(secret, address, nowSeconds).readBigUInt64BE(), expected, `round ${round}`)
  }
})

t.test('an id is valid in its slot and the next one only', async t => {
  for (const address of [IPV4, IPV6]) {
    const id = idOf(SECRET, address, START)
    for (const [later, good] of [
      [0, true],
      [119, true],
      [120, true],
      [239, true],
      [240, false],
      [86_400, false],
      [-1, false],
    ] as const) {
      t.equal(isValid(SECRET, address, START + later, id), good, `${later} s later`)
    }
    t.equal(isValid(SECRET, address, START + 239, idOf(SECRET, address, START + 119)), true)
  }
})

t.test('an id is valid for its own address only', async t => {
  for (const address of [IPV4, IPV6]) {
    const id = idOf(SECRET, address, START)
    for (let bit = 0; bit < address.length * 8; bit++) {
      const other = Uint8Array.from(address)
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
      t.equal(isValid(SECRET, other, START, id), false, `bit ${bit} of the address`)
    }
  }
  const mapped = Uint8Array.from([...new Array(10).fill(0), 255, 255, ...IPV4])
  t.equal(isValid(SECRET, mapped, START, idOf(SECRET, IPV4, START)), false, 'as mapped IPv6')
})

t.test('an id with any changed bit is invalid', async t => {
  for (const address of [IPV4, IPV6]) {
    const id = idOf(SECRET, address, START)
    for (let bit = 0; bit < 64; bit++) {
      const other = Uint8Array.from(id)
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
      t.equal(isValid(SECRET, address, START, other), false, `bit ${bit} of the id`)
    }
  }
})

t.test('every start of the tracker creates different ids', async t => {
  const other = createConnectionSecret()
  t.notSame(other, SECRET)
  t.equal(isValid(other, IPV4, START, idOf(SECRET, IPV4, START)), false)
  for (let word = 0; word < 4; word++) {
    const changed = Int32Array.from(SECRET)
    changed[word] = (changed[word] as number) ^ 1
    t.equal(isValid(changed, IPV4, START, idOf(SECRET, IPV4, START)), false, `word ${word}`)
  }
})
