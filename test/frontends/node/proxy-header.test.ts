import t from 'tap'
import { parseProxyHeader } from '../../../src/frontends/node/proxy-header.ts'
import { parseIpv4, parseIpv6 } from '../../../src/protocol/ip.ts'
import { fc } from '../../fixtures/seed.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const V4 = Buffer.of(5, 6, 7, 8, 127, 0, 0, 1, 0x1a, 0xe1, 0, 80)
const V6 = Buffer.concat([
  parseIpv6('2001:db8::7') as Uint8Array,
  parseIpv6('2001:db8::1') as Uint8Array,
  Buffer.of(0x1a, 0xe1, 0, 80),
])

function version2(versionAndCommand: number, family: number, data: Uint8Array): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(data.length)
  return Buffer.concat([SIGNATURE, Buffer.of(versionAndCommand, family), length, data])
}

function addressIn(received: Buffer): string {
  const header = parseProxyHeader(received)
  return header.kind === 'header' ? (header.address?.join('.') ?? 'none') : header.kind
}

t.test('version 2 names an IPv4 or IPv6 client, with any further fields behind', async t => {
  t.equal(addressIn(version2(0x21, 0x11, V4)), '5.6.7.8')
  t.equal(addressIn(version2(0x21, 0x12, V4)), '5.6.7.8')
  for (const more of [0, 3, 1000, 65_000]) {
    const header = version2(0x21, 0x21, Buffer.concat([V6, Buffer.alloc(more)]))
    t.match(parseProxyHeader(Buffer.concat([header, Buffer.from('GET / HTTP/1.1')])), {
      kind: 'header',
      bytes: header.length,
      address: parseIpv6('2001:db8::7'),
    })
  }
})

t.test('LOCAL, an unspecified family and Unix sockets do not name a client', async t => {
  for (const header of [
    version2(0x20, 0, Buffer.alloc(0)),
    version2(0x20, 0x11, V4),
    version2(0x20, 0x11, Buffer.alloc(84)),
    version2(0x21, 0, Buffer.alloc(0)),
    version2(0x21, 0, Buffer.alloc(9)),
    version2(0x21, 0x31, Buffer.alloc(216)),
  ]) {
    t.equal(addressIn(header), 'none')
  }
})

t.test(
  'a block that is too short for its family, another version and command are malformed',
  async t => {
    for (const header of [
      version2(0x21, 0x11, V4.subarray(0, 11)),
      version2(0x21, 0x11, Buffer.alloc(0)),
      version2(0x21, 0x21, V4),
      version2(0x21, 0x21, Buffer.alloc(0)),
      version2(0x21, 0x31, Buffer.alloc(215)),
      version2(0x11, 0x11, V4),
      version2(0x31, 0x11, V4),
      version2(0x22, 0x11, V4),
    ]) {
      t.equal(addressIn(header), 'invalid', header.toString('hex'))
    }
  },
)

t.test('version 1 is a line of at most 107 bytes', async t => {
  const line = (text: string) => addressIn(Buffer.from(`${text}\r\nGET /`))
  t.equal(line('PROXY TCP4 5.6.7.8 127.0.0.1 40000 80'), '5.6.7.8')
  t.equal(line('PROXY TCP6 2001:db8::7 ::1 1 65535'), parseIpv6('2001:db8::7')?.join('.'))
  t.equal(line('PROXY UNKNOWN'), 'none')
  t.equal(line(`PROXY UNKNOWN ${'f'.repeat(90)}`), 'none')
  for (const wrong of [
    'PROXY TCP4 5.6.7.8 127.0.0.1 40000',
    'PROXY TCP4 5.6.7 127.0.0.1 1 2',
    'PROXY TCP4 ::1 ::1 1 2',
    'PROXY TCP6 5.6.7.8 127.0.0.1 1 2',
    'PROXY TCP4 5.6.7.8 127.0.0.1 1 65536',
    'PROXY TCP4  5.6.7.8 127.0.0.1 1 2',
    'PROXY UDP4 5.6.7.8 127.0.0.1 1 2',
    'PROXY UNKNOWNS',
    `PROXY UNKNOWN ${'f'.repeat(100)}`,
  ]) {
    t.equal(line(wrong), 'invalid', wrong)
  }
  t.match(parseProxyHeader(Buffer.from('PROXY UNKNOWN\r\nGET /')), { bytes: 15 })
})

t.test('a request is not a header', async t => {
  for (const text of ['GET / HTTP/1.1', 'PUT /', 'PROPFIND /', '\r\nGET /', '\x16\x03\x01']) {
    t.equal(addressIn(Buffer.from(text, 'latin1')), 'absent', JSON.stringify(text))
  }
})

t.test('every prefix of a header is reported as incomplete', async t => {
  for (const header of [
    version2(0x21, 0x11, V4),
    version2(0x21, 0x21, Buffer.concat([V6, Buffer.alloc(70)])),
    Buffer.from('PROXY TCP4 5.6.7.8 127.0.0.1 40000 80\r\n'),
  ]) {
    for (let cut = 0; cut < header.length; cut++) {
      t.equal(addressIn(header.subarray(0, cut)), 'incomplete', `after ${cut} bytes`)
    }
  }
})

t.test('no bytes make the reader throw or read past the received ones', async () => {
  const beginning = fc.constantFrom(SIGNATURE, Buffer.from('PROXY '), Buffer.alloc(0))
  fc.assert(
    fc.property(beginning, fc.uint8Array({ maxLength: 300 }), (start, rest) => {
      const received = Buffer.concat([start, rest])
      const header = parseProxyHeader(received)
      return header.kind !== 'header' || header.bytes <= received.length
    }),
  )
})

t.test('an address of a header is a copy', async t => {
  const received = version2(0x21, 0x11, V4)
  const header = parseProxyHeader(received)
  received.fill(0)
  t.match(header, { address: parseIpv4('5.6.7.8') })
})
