import t from 'tap'
import {
  ClientAddresses,
  countedAddress,
} from '../../../src/frontends/websocket/client-addresses.ts'
import { parseIpv4, parseIpv6 } from '../../../src/protocol/ip.ts'

const OFFERS = { burst: 10, perSecond: 1 }

function counted(text: string): string {
  const address = parseIpv4(text) ?? parseIpv6(text)
  if (!address) throw new Error(text)
  return countedAddress(address)
}

t.test('an IPv4 address counts alone, an IPv6 address with its /64', async t => {
  t.not(counted('203.0.113.7'), counted('203.0.113.8'))
  t.equal(counted('2001:db8:1:1::1'), counted('2001:db8:1:1:ffff:ffff:ffff:ffff'))
  t.not(counted('2001:db8:1:1::1'), counted('2001:db8:1:2::1'))
})

t.test('an address is full, and has space again when a socket closes', async t => {
  const addresses = new ClientAddresses()
  const [one, other] = [counted('203.0.113.7'), counted('203.0.113.8')]
  addresses.add(one)
  t.notOk(addresses.isFull(one, 2))
  addresses.add(one)
  t.ok(addresses.isFull(one, 2))
  t.notOk(addresses.isFull(one, 0), '0 does not limit')
  t.notOk(addresses.isFull(other, 2))
  addresses.remove(one)
  t.notOk(addresses.isFull(one, 2))
})

t.test('an IPv6 /48 is full at four times the sockets of a /64', async t => {
  const addresses = new ClientAddresses()
  for (let n = 0; n < 8; n++) addresses.add(counted(`2001:db8:1:${n}::1`))
  t.ok(addresses.isFull(counted('2001:db8:1:ff::1'), 2))
  t.notOk(addresses.isFull(counted('2001:db8:2:ff::1'), 2))
  addresses.remove(counted('2001:db8:1:3::1'))
  t.notOk(addresses.isFull(counted('2001:db8:1:ff::1'), 2))
})

t.test('reconnecting does not earn a new burst of offers', async t => {
  const addresses = new ClientAddresses()
  const address = counted('203.0.113.7')
  const use = addresses.add(address)
  t.ok(use.offers.take(10, 0, OFFERS))
  addresses.remove(address)
  addresses.sweep(5, OFFERS)
  t.equal(addresses.add(address), use)
  addresses.remove(address)
  addresses.sweep(11, OFFERS)
  t.not(addresses.add(address), use)
})
