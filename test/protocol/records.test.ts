import t from 'tap'
import { NUMWANT_MAX } from '../../src/protocol/limits.ts'
import * as record from '../../src/protocol/records.ts'

/** Offset and size of each field, in order. */
type Fields = readonly (readonly [number, number])[]
const COMMON: Fields = [
  [record.LENGTH, 4],
  [record.ID, 4],
  [record.KIND, 1],
  [record.FAMILY, 1],
  [record.EVENT, 1],
  [record.FLAGS, 1],
  [record.PORT, 2],
  [record.NUMWANT, 2],
  [record.INFO_HASH, record.HASH_BYTES],
  [record.PEER_ID, 20],
  [record.ADDRESS, 16],
  [record.UPLOADED, 8],
  [record.DOWNLOADED, 8],
  [record.LEFT, 8],
  [record.KEY, 20],
  [record.USER_KEY, 20],
]
const REQUEST: Fields = [...COMMON, [record.SOURCE, 8], [record.ANNOUNCE_BYTES, 0]]
const WEBSOCKET_REQUEST: Fields = [
  ...COMMON,
  [record.CLIENT_ADDRESS, 16],
  [record.WEBSOCKET_ANNOUNCE_BYTES, 0],
]
const REPLY: Fields = [
  [record.LENGTH, 4],
  [record.ID, 4],
  [record.KIND, 1],
  [record.FAILURE, 1],
  [record.PEER_COUNT[record.Family.ipv4], 2],
  [record.PEER_COUNT[record.Family.ipv6], 2],
  [record.REPLY_FLAGS, 1],
  [record.SEEDERS, 4],
  [record.LEECHERS, 4],
  [record.COMPLETED, 4],
  [record.INTERVAL, 4],
  [record.REPLY_HEADER_BYTES, 0],
]

t.test('no field of a record overlaps another', async t => {
  for (const fields of [REQUEST, WEBSOCKET_REQUEST, REPLY]) {
    for (const [n, [at, size]] of fields.slice(0, -1).entries()) {
      const next = fields[n + 1]?.[0] ?? 0
      t.ok(at + size <= next, `${size} bytes at ${at} end before ${next}`)
    }
  }
})

t.test('64-bit numbers keep every whole number up to 2^53', async t => {
  const view = new DataView(new ArrayBuffer(24))
  for (const value of [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1, 2 ** 53]) {
    record.writeU64(view, 8, value)
    t.equal(view.getBigUint64(8, true), BigInt(value))
    t.equal(record.readU64(view, 8), value)
  }
  t.equal(view.getBigUint64(0), 0n)
  t.equal(view.getBigUint64(16), 0n)
})

t.test('the largest reply has room for every peer and its id', async t => {
  const { ipv4, ipv6, websocket } = record.Family
  t.equal(record.replyBytesMax(0, ipv4), record.REPLY_HEADER_BYTES)
  t.equal(record.replyBytesMax(50, ipv4), record.REPLY_HEADER_BYTES + 50 * (18 + 20))
  t.equal(record.replyBytesMax(50, websocket), record.REPLY_HEADER_BYTES + 50 * (26 + 20))
  t.ok(record.replyBytesMax(NUMWANT_MAX, ipv6) < 16 * 1024)
})
