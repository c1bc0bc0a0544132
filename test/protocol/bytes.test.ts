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
  const out = allocate(4)
  const text = new Uint8Array(4)
  t.ok(copyHex(bytesOf(Buffer.from('..00fFA7Be..')).view, 2, 8, out.view, 0))
  t.same([...out.u8], [0, 0xff, 0xa7, 0xbe])
  let valid = 0
  for (const around of ['0', '9', 'a', 'F', 'Z']) {
    for (let byte = 0; byte < 256; byte++) {
      for (let place = 0; place < 4; place++) {
        const characters = Array(4).fill(around)
        characters[place] = String.fromCharCode(byte)
        const digits = characters.join('')
        const { view } = bytesOf(Buffer.from(digits, 'latin1'))
        const isHex = readHex(digits, text, 0)
        if (copyHex(view, 0, 4, out.view, 0) !== isHex) t.fail(`digits ${digits}`)
        if (isHex && out.view.getUint16(0) !== Buffer.from(text).readUInt16BE(0)) t.fail(digits)
        if (isHex) valid++
      }
    }
  }
  t.equal(valid, 4 * 4 * 22)
})
