import t from 'tap'
import { NUMWANT_MAX } from '../../src/protocol/limits.ts'
import * as record from '../../src/protocol/records.ts'

t.test('the fields of every record are in order and do not overlap', async t => {
  record.assertRecordLayouts()
  const layout = (fields: [number, number][], end: number) => () =>
    record.assertRecordLayouts({ example: { fields, end } })
  t.doesNotThrow(
    layout(
      [
        [0, 4],
        [4, 2],
      ],
      6,
    ),
  )
  t.throws(
    layout(
      [
        [0, 4],
        [3, 2],
      ],
      6,
    ),
    /example: the field at 3 begins before 4/,
  )
  t.throws(
    layout(
      [
        [0, 4],
        [4, 3],
      ],
      6,
    ),
    /example: the field at 6 begins before 7/,
  )
})

t.test('64-bit numbers are exact up to 2^53', async t => {
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
