import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { formatAddress, parseIpv4, parseIpv6 } from '../../src/protocol/ip.ts'

t.test('an address survives being written and read', async t => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  fc.assert(
    fc.property(bytes(4), bytes(16), (ipv4, ipv6) => {
      t.same(parseIpv4(formatAddress(ipv4, 0, 4)), ipv4)
      t.same(parseIpv6(formatAddress(ipv6, 0, 16)), ipv6)
    }),
  )
})

t.test('what Node takes for an address is one, and nothing else', async t => {
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

t.test('IPv6 is written as RFC 5952 says', async t => {
  const written = (text: string) => formatAddress(parseIpv6(text) ?? new Uint8Array(16), 0, 16)
  t.equal(written('2001:0DB8:0:0:0:0:0:0001'), '2001:db8::1')
  t.equal(written('1:0:0:2:0:0:0:3'), '1:0:0:2::3')
  t.equal(written('1:0:2:3:4:5:6:7'), '1:0:2:3:4:5:6:7')
  t.equal(written('::'), '::')
})
