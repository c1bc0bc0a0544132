import t from 'tap'
import {
  clientAddress,
  forwardedAddress,
  type Headers,
  type Origin,
  socketAddress,
  writeClientAddress,
} from '../../src/frontends/client-address.ts'
import { allocate } from '../../src/protocol/bytes.ts'
import { Failure } from '../../src/protocol/failures.ts'
import { compileCidrs, isInCidrs, parseIpv4, parseIpv6 } from '../../src/protocol/ip.ts'
import { ADDRESS, FAMILY } from '../../src/protocol/records.ts'

function bytes(text: string): Uint8Array {
  const parsed = parseIpv4(text) ?? parseIpv6(text)
  if (!parsed) throw new Error(text)
  return parsed
}

function buffer(text: string): ArrayBuffer {
  return Uint8Array.from(bytes(text)).buffer
}

t.test('an IPv4 client of a dual-stack socket is an IPv4 client', async t => {
  t.same(socketAddress(buffer('::ffff:1.2.3.4')), bytes('1.2.3.4'))
  t.same(socketAddress(buffer('::1')), bytes('::1'))
})

t.test('the client is the last address of the header that no trusted proxy has', async t => {
  const trusted = compileCidrs(['10.0.0.0/8'])
  for (const [header, client] of [
    ['1.2.3.4', '1.2.3.4'],
    ['6.6.6.6, 1.2.3.4', '1.2.3.4'],
    ['6.6.6.6, 1.2.3.4, 10.0.0.9', '1.2.3.4'],
    ['10.0.0.8, 10.0.0.9', '10.0.0.8'],
    ['1.2.3.4:5678', '1.2.3.4'],
    ['[2001:db8::1]:80', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
  ] as const) {
    t.same(forwardedAddress(header, trusted), bytes(client), header)
  }
  for (const header of ['', 'unknown', '1.2.3', '1.2.3.4, nonsense', '999.1.1.1']) {
    t.equal(forwardedAddress(header, trusted), undefined, header)
  }
})

/** A connection from `remote`, on which a proxy may have named the client `proxied`. */
function from(remote: string, proxied?: string): Origin {
  return {
    getRemoteAddress: () => buffer(remote),
    getProxiedRemoteAddress: () => (proxied ? buffer(proxied) : new ArrayBuffer(0)),
  }
}

/** A request with these lines of X-Real-IP, and others. */
const header = (...lines: string[]): Headers => ({
  forEach(visit) {
    visit('host', 'tracker')
    for (const line of lines) visit('x-real-ip', line)
    visit('x-forwarded-for', '6.6.6.6')
  },
})

const rules = {
  trusted: compileCidrs(['10.0.0.0/8']),
  header: 'x-real-ip',
  proxyProtocol: false,
}

t.test('the header is read only from a trusted proxy', async t => {
  const refuse: Headers = {
    forEach() {
      throw new Error('the header was read')
    },
  }
  t.same(clientAddress(from('1.2.3.4'), refuse, rules), bytes('1.2.3.4'))
  t.same(clientAddress(from('10.1.1.1'), refuse, { ...rules, trusted: [] }), bytes('10.1.1.1'))
  t.same(clientAddress(from('10.1.1.1'), header('5.6.7.8'), rules), bytes('5.6.7.8'))
})

t.test('several lines of the header are one list', async t => {
  const client = (...lines: string[]) => clientAddress(from('10.1.1.1'), header(...lines), rules)
  t.same(client('6.6.6.6', '5.6.7.8'), bytes('5.6.7.8'))
  t.same(client('', '5.6.7.8'), bytes('5.6.7.8'))
  t.same(client('6.6.6.6, 5.6.7.8', ''), bytes('5.6.7.8'))
  t.same(client('5.6.7.8', '10.0.0.1'), bytes('5.6.7.8'), 'the last is a trusted proxy')
  t.equal(client(), undefined)
  t.equal(client('5.6.7.8', 'unknown'), undefined)
})

t.test('a range of mapped addresses is one of IPv4', async t => {
  const list = compileCidrs(['::ffff:10.0.0.0/104', '::ffff:203.0.113.7', '::/0'])
  t.ok(isInCidrs(list, bytes('10.1.2.3')))
  t.ok(isInCidrs(list, bytes('203.0.113.7')))
  t.notOk(isInCidrs(list, bytes('203.0.113.8')), 'a range of IPv6 is not one of IPv4')
})

t.test('the PROXY protocol is accepted where it is switched on, from a trusted proxy', async t => {
  const on = { ...rules, proxyProtocol: true }
  t.same(clientAddress(from('10.1.1.1', '5.6.7.8'), header(''), on), bytes('5.6.7.8'))
  t.same(clientAddress(from('10.1.1.1', '2001:db8::5'), header(''), on), bytes('2001:db8::5'))
  t.same(clientAddress(from('10.1.1.1', '5.6.7.8'), header('9.9.9.9'), rules), bytes('9.9.9.9'))
  t.same(clientAddress(from('1.2.3.4', '5.6.7.8'), header(''), on), bytes('1.2.3.4'))
  t.same(
    clientAddress(from('10.1.1.1', '10.2.2.2'), header('9.9.9.9'), on),
    bytes('9.9.9.9'),
    'a proxy behind a proxy names the client in the header',
  )
  t.same(
    clientAddress(from('10.1.1.1', '10.2.2.2'), header(''), on),
    bytes('10.2.2.2'),
    'a client in the network of the proxies',
  )
  t.equal(
    clientAddress(from('10.1.1.1'), header('9.9.9.9'), on),
    undefined,
    'the header does not stand in for the PROXY protocol',
  )
})

t.test('family and address go into the record, and nothing of the one before stays', async t => {
  const record = allocate(96)
  record.u8.fill(0xee)
  t.equal(writeClientAddress(bytes('1.2.3.4'), record, 0), Failure.none)
  t.same([...record.u8.subarray(ADDRESS, ADDRESS + 16)], [1, 2, 3, 4, ...Array(12).fill(0)])
  t.equal(record.u8[FAMILY], 0)
  t.equal(writeClientAddress(bytes('2001:db8::1'), record, 0), Failure.none)
  t.same(record.u8.slice(ADDRESS, ADDRESS + 16), bytes('2001:db8::1'))
  t.equal(record.u8[FAMILY], 1)
  t.equal(writeClientAddress(new Uint8Array(0), record, 0), Failure.unknownOrigin)
})
