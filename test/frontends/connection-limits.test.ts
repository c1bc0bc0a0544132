import t from 'tap'
import {
  createFrontendCounters,
  FrontendCounter,
  Protocol,
  readFrontend,
} from '../../src/counters/frontend.ts'
import { ConnectionLimits } from '../../src/frontends/connection-limits.ts'
import { parseIpv4, parseIpv6 } from '../../src/protocol/ip.ts'
import { Family, type IpFamily } from '../../src/protocol/records.ts'

function address(text: string): ArrayBuffer {
  return Uint8Array.from(parseIpv4(text) ?? parseIpv6(text) ?? []).buffer
}

function start(perAddress: number) {
  const counters = createFrontendCounters()
  const limits = new ConnectionLimits(perAddress, counters)
  const count = (counter: FrontendCounter, family: IpFamily = Family.ipv4) =>
    readFrontend(counters, Protocol.http, family, counter)
  return { limits, count }
}

t.test('an address may have so many connections, to all listeners together', async t => {
  const { count, limits } = start(2)
  const first = limits.gate({ maxConnections: 0, trustedProxies: [] })
  const second = limits.gate({ maxConnections: 0, trustedProxies: [] })
  t.ok(first.open(address('1.2.3.4')))
  t.ok(second.open(address('1.2.3.4')))
  t.notOk(first.open(address('1.2.3.4')))
  t.notOk(second.open(address('::ffff:1.2.3.4')), 'the mapped form is the same address')
  t.ok(first.open(address('1.2.3.5')))
  t.equal(count(FrontendCounter.overAddress), 2)
  t.equal(limits.open, 3)
  second.close(address('1.2.3.4'))
  t.ok(first.open(address('1.2.3.4')))
})

t.test('an IPv6 /64 is one address', async t => {
  const { count, limits } = start(1)
  const gate = limits.gate({ maxConnections: 0, trustedProxies: [] })
  t.ok(gate.open(address('2001:db8::1')))
  t.notOk(gate.open(address('2001:db8::2')))
  t.ok(gate.open(address('2001:db8:0:1::1')))
  t.equal(count(FrontendCounter.overAddress, Family.ipv6), 1)
})

t.test('a listener has a limit of its own, which proxies share', async t => {
  const { count, limits } = start(1)
  const limited = limits.gate({ maxConnections: 2, trustedProxies: ['10.0.0.0/8'] })
  const free = limits.gate({ maxConnections: 0, trustedProxies: [] })
  t.ok(limited.open(address('10.0.0.1')))
  t.ok(limited.open(address('10.0.0.1')), 'a proxy carries many clients')
  t.notOk(limited.open(address('10.0.0.2')))
  t.equal(count(FrontendCounter.overListener), 1)
  t.ok(free.open(address('10.0.0.2')))
  limited.close(address('10.0.0.1'))
  t.ok(limited.open(address('1.2.3.4')))
  t.equal(count(FrontendCounter.overAddress), 0)
})

t.test(
  'without limits every connection is counted and none refused; a new limit applies at once',
  async t => {
    const { limits } = start(0)
    const gate = limits.gate({ maxConnections: 0, trustedProxies: [] })
    for (let n = 0; n < 100; n++) t.ok(gate.open(address('1.2.3.4')))
    t.equal(limits.open, 100)
    limits.perAddress = 100
    t.notOk(gate.open(address('1.2.3.4')))
    for (let n = 0; n < 100; n++) gate.close(address('1.2.3.4'))
    t.equal(limits.open, 0)
    t.ok(gate.open(address('1.2.3.4')))
  },
)
