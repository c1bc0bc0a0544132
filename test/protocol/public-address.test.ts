import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { parseIpv4, parseIpv6 } from '../../src/protocol/ip.ts'
import { isPublicIpv4, isPublicIpv6 } from '../../src/protocol/public-address.ts'

/** What IANA's registries of special-purpose addresses have as not globally reachable, with multicast and the deprecated transitions to IPv6. */
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

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]

function isIn(ranges: Range[], bytes: Uint8Array): boolean {
  return ranges.some(range => ipaddr.fromByteArray([...bytes]).match(range as never))
}

/** The first and last address of a range, and their neighbours outside. */
function borders([address, bits]: Range): Uint8Array[] {
  const bytes = address.toByteArray()
  const width = bytes.length * 8
  const first = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const last = first + (1n << BigInt(width - bits)) - 1n
  return [first - 1n, first, last, last + 1n]
    .filter(value => value >= 0n && value < 1n << BigInt(width))
    .map(value => Buffer.from(value.toString(16).padStart(width / 4, '0'), 'hex'))
}

for (const [name, texts, bytes, isPublic] of [
  ['IPv4', SPECIAL_IPV4, 4, isPublicIpv4],
  ['IPv6', SPECIAL_IPV6, 16, isPublicIpv6],
] as const) {
  const ranges = texts.map(text => ipaddr.parseCIDR(text) as Range)

  t.test(`every range of ${name} ends where the registry has it end`, async t => {
    for (const range of ranges) {
      for (const address of borders(range)) {
        t.equal(
          isPublic(address, 0),
          !isIn(ranges, address),
          ipaddr.fromByteArray([...address]).toString(),
        )
      }
    }
  })

  t.test(`any other address of ${name} is as the registry has it`, async t => {
    const anywhere = fc.uint8Array({ minLength: bytes, maxLength: bytes })
    // Special ranges are few: half of the addresses begin as one of them does.
    const near = fc
      .tuple(fc.constantFrom(...ranges), anywhere, fc.integer({ min: 1, max: bytes }))
      .map(([[address], tail, kept]) =>
        Uint8Array.from(tail, (byte, n) => (n < kept ? (address.toByteArray()[n] ?? 0) : byte)),
      )
    fc.assert(
      fc.property(
        fc.oneof(anywhere, near),
        address => isPublic(address, 0) === !isIn(ranges, address),
      ),
      { numRuns: 5000 },
    )
    t.pass()
  })
}

t.test('addresses that everybody knows', async t => {
  const ipv4 = (text: string) => isPublicIpv4(parseIpv4(text) ?? new Uint8Array(4), 0)
  const ipv6 = (text: string) => isPublicIpv6(parseIpv6(text) ?? new Uint8Array(16), 0)
  for (const text of [
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '192.0.1.1',
    '100.128.0.1',
    '223.255.255.255',
  ])
    t.ok(ipv4(text), text)
  for (const text of ['127.0.0.1', '10.1.2.3', '192.168.1.1', '255.255.255.255', '0.0.0.0'])
    t.notOk(ipv4(text), text)
  for (const text of ['2606:4700:4700::1111', '2a00:1450::1', '2001:4860:4860::8888', '2003::1'])
    t.ok(ipv6(text), text)
  for (const text of ['::', '::1', '::ffff:8.8.8.8', 'fe80::1', 'fd00::1', 'ff02::1', '64:ff9b::1'])
    t.notOk(ipv6(text), text)
})
