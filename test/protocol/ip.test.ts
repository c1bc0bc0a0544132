import { BlockList, isIPv4, isIPv6 } from 'node:net'
import t from 'tap'
import {
  compileCidrs,
  formatAddress,
  isInCidrs,
  isMapped,
  isPublicIpv4,
  isPublicIpv6,
  parseAddress,
  parseCidr,
  parseIpv4,
  parseIpv6,
  unmapped,
  writeMapped,
} from '../../src/protocol/ip.ts'
import { fc } from '../fixtures/seed.ts'

function bytes(text: string): Uint8Array {
  const parsed = parseAddress(text)
  if (!parsed) throw new Error(text)
  return parsed
}

t.test('an address is parsed to its bytes', async t => {
  const some = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  fc.assert(
    fc.property(some(4), some(16), (ipv4, ipv6) => {
      t.same(parseIpv4(formatAddress(ipv4, 0, 4)), ipv4)
      t.same(parseIpv6(formatAddress(ipv6, 0, 16)), ipv6)
    }),
  )
})

t.test('Node and this parser agree on which texts are addresses', async t => {
  const digits = fc.stringMatching(/^[0-9a-f:.]{0,20}$/)
  const nearly = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    digits,
    fc.ipV6().map(text => text.slice(1)),
  )
  fc.assert(
    fc.property(nearly, text => {
      t.equal(parseIpv4(text) !== undefined, isIPv4(text), text)
      t.equal(parseIpv6(text) !== undefined, isIPv6(text), text)
    }),
    { numRuns: 3000 },
  )
})

t.test('IPv6 addresses are written in the form of RFC 5952', async t => {
  const written = (text: string) => formatAddress(parseIpv6(text) ?? new Uint8Array(16), 0, 16)
  t.equal(written('2001:0DB8:0:0:0:0:0:0001'), '2001:db8::1')
  t.equal(written('1:0:0:2:0:0:0:3'), '1:0:0:2::3')
  t.equal(written('1:0:2:3:4:5:6:7'), '1:0:2:3:4:5:6:7')
  t.equal(written('::'), '::')
})

t.test('an IPv4 address in its IPv6 form is the IPv4 address', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), ipv4 => {
      const mapped = new Uint8Array(18)
      writeMapped(ipv4, mapped, 1)
      t.ok(isMapped(mapped, 1))
      t.same(unmapped(mapped.subarray(1, 17)), ipv4)
      t.same(mapped[0], 0)
    }),
  )
  const ipv6 = bytes('2001:db8::1')
  const out = new Uint8Array(16)
  writeMapped(ipv6, out, 0)
  t.same(out, ipv6)
  for (const other of ['::1.2.3.4', '::fffe:1.2.3.4', '64:ff9b::1.2.3.4', '1::ffff:1.2.3.4']) {
    t.notOk(isMapped(bytes(other), 0), other)
    t.equal(unmapped(bytes(other)).length, 16)
  }
})

t.test('a range holds the addresses that share its first bits', async t => {
  const list = compileCidrs(['10.0.0.0/8', '192.168.1.128/25', 'fd00::/9', '203.0.113.7'])
  for (const inside of ['10.255.0.1', '192.168.1.200', 'fd7f::1', '203.0.113.7'])
    t.ok(isInCidrs(list, bytes(inside)), inside)
  for (const outside of ['11.0.0.1', '192.168.1.127', 'fd80::1', '203.0.113.8', '::10.0.0.1']) {
    t.notOk(isInCidrs(list, bytes(outside)), outside)
  }
  t.ok(isInCidrs(compileCidrs(['0.0.0.0/0']), bytes('1.2.3.4')))
  for (const wrong of ['10.0.0.0/33', '::/129', 'x', '10.0.0/8', '', '::/', '1.2.3.4/-1', '::/1/1'])
    t.throws(() => compileCidrs([wrong]), wrong)
  const mapped = parseCidr('::ffff:10.0.0.0/104')
  t.same(mapped, { bytes: bytes('10.0.0.0'), bits: 8 }, 'a range of mapped addresses is of IPv4')
  t.same(parseCidr('::ffff:0:0/96'), { bytes: bytes('0.0.0.0'), bits: 0 })
  t.equal(parseCidr('::/0')?.bits, 0)
})

/** Not globally reachable in IANA's registries, multicast, and deprecated transitions to IPv6. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
const SPECIAL_IPV6 = [
  '::/3',
  '4000::/2',
  '8000::/1',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
]

/** The first and last address of a range, and their neighbours outside. */
function borders(range: string): Uint8Array[] {
  const [text = '', bits] = range.split('/')
  const first = bytes(text)
  const width = first.length * 8
  const begin = BigInt(`0x${Buffer.from(first).toString('hex')}`)
  const end = begin + (1n << BigInt(width - Number(bits))) - 1n
  return [begin - 1n, begin, end, end + 1n]
    .filter(value => value >= 0n && value < 1n << BigInt(width))
    .map(value => Buffer.from(value.toString(16).padStart(width / 4, '0'), 'hex'))
}

for (const [name, ranges, size, isPublic] of [
  ['ipv4', SPECIAL_IPV4, 4, isPublicIpv4],
  ['ipv6', SPECIAL_IPV6, 16, isPublicIpv6],
] as const) {
  const special = new BlockList()
  for (const range of ranges) {
    const [net = '', prefix] = range.split('/')
    special.addSubnet(net, Number(prefix), name)
  }
  const isSpecial = (address: Uint8Array) => special.check(formatAddress(address, 0, size), name)

  t.test(`every special range of ${name} has the bounds of the registry`, async t => {
    for (const address of ranges.flatMap(borders)) {
      t.equal(isPublic(address, 0), !isSpecial(address), formatAddress(address, 0, size))
    }
  })

  t.test(`any other ${name} address is public exactly if the registry says so`, async t => {
    const anywhere = fc.uint8Array({ minLength: size, maxLength: size })
    // Special ranges are few: half of the addresses begin as one of them does.
    const near = fc
      .tuple(fc.constantFrom(...ranges), anywhere, fc.integer({ min: 1, max: size }))
      .map(([range, tail, same]) => {
        const first = bytes(range.split('/')[0] ?? '')
        return Uint8Array.from(tail, (byte, n) => (n < same ? (first[n] ?? 0) : byte))
      })
    fc.assert(
      fc.property(
        fc.oneof(anywhere, near).filter(address => size === 4 || !isMapped(address, 0)),
        address => isPublic(address, 0) === !isSpecial(address),
      ),
      { numRuns: 3000 },
    )
    t.pass()
  })
}

t.test('well-known addresses', async t => {
  const ipv4 = (text: string) => isPublicIpv4(bytes(text), 0)
  const ipv6 = (text: string) => isPublicIpv6(bytes(text), 0)
  for (const text of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '192.0.1.1', '223.255.255.255'])
    t.ok(ipv4(text), text)
  for (const text of ['127.0.0.1', '10.1.2.3', '192.168.1.1', '255.255.255.255', '0.0.0.0'])
    t.notOk(ipv4(text), text)
  for (const text of ['2606:4700:4700::1111', '2a00:1450::1', '2001:4860:4860::8888', '2003::1'])
    t.ok(ipv6(text), text)
  for (const text of ['::', '::1', '::ffff:8.8.8.8', 'fe80::1', 'fd00::1', 'ff02::1', '64:ff9b::1'])
    t.notOk(ipv6(text), text)
})
