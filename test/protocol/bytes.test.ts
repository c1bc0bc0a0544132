import t from 'tap'
import { allocate, bytesOf, copyHex, readHex } from '../../src/protocol/bytes.ts'

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

t.test('hex digits of either case become bytes, and nothing else does', async t => {
  const out = new Uint8Array(4)
  t.ok(readHex('00fFA7', out, 1))
  t.same([...out], [0, 0, 0xff, 0xa7])
  t.ok(readHex('', out, 4))
  for (const text of ['a', 'abc', '0g', 'g0', ' a', '+1', '0x', '\u01300', '0\uff10']) {
    t.notOk(readHex(text, out, 0), text)
  }
})

t.test('hex digits in memory become the same bytes as in text', async t => {
  const out = new Uint8Array(4)
  t.ok(copyHex(Buffer.from('..00fFA7..'), 2, 6, out, 1))
  t.same([...out], [0, 0, 0xff, 0xa7])
  for (let byte = 0; byte < 256; byte++) {
    const text = String.fromCharCode(byte)
    for (const pair of [`${text}0`, `0${text}`]) {
      const isHex = readHex(pair, out, 0)
      t.equal(copyHex(Buffer.from(pair, 'latin1'), 0, 2, out, 1), isHex)
      if (isHex) t.equal(out[1], out[0])
    }
  }
})
