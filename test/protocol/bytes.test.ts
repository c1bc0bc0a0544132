import t from 'tap'
import { allocate, bytesOf } from '../../src/protocol/bytes.ts'

t.test('new memory is zero and of the size asked for', async t => {
  const { u8, view } = allocate(16)
  t.same(u8, new Uint8Array(16))
  t.equal(view.byteLength, 16)
})

t.test('both views show the same memory, also in the middle of a buffer', async t => {
  for (const buffer of [new ArrayBuffer(32), new SharedArrayBuffer(32)]) {
    const { u8, view } = bytesOf(new Uint8Array(buffer, 8, 16))
    view.setUint16(0, 0x1234, true)
    u8[15] = 7
    t.same([u8[0], u8[1], view.getUint8(15)], [0x34, 0x12, 7])
    t.same([new Uint8Array(buffer)[8], new Uint8Array(buffer)[23]], [0x34, 7])
    t.equal(view.byteLength, 16)
  }
})
