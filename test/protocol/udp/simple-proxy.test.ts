import t from 'tap'
import { UdpCounter } from '../../../src/counters/udp.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { ADDRESS, FAMILY, Family } from '../../../src/protocol/records.ts'
import { isIpv4Client, proxiedClientAt } from '../../../src/protocol/udp/simple-proxy.ts'
import { announcePacket, connectPacket, NO_ID } from '../../frontends/udp/fixtures/packets.ts'
import { listener } from '../../frontends/udp/fixtures/socketless-listener.ts'

const PROXY = Buffer.of(10, 0, 0, 9)
const CLIENT = Buffer.of(203, 0, 113, 5)
const CLIENT6 = Buffer.from('20010db80000000000000000000000c1', 'hex')
const mapped = (ipv4: Buffer): Buffer =>
  Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), ipv4])

/** A datagram as a proxy passes it on. */
function proxied(client: Buffer, payload: Buffer): Buffer {
  const address = client.length === 4 ? mapped(client) : client
  return Buffer.concat([
    Buffer.from('56ec', 'hex'),
    address,
    mapped(PROXY),
    Buffer.from('1ae11ae2', 'hex'),
    payload,
  ])
}

for (const [name, client, family] of [
  ['IPv4', CLIENT, Family.ipv4],
  ['IPv6', CLIENT6, Family.ipv6],
] as const) {
  t.test(`an ${name} client behind a trusted proxy has its own address`, async t => {
    const { send, asked } = listener(Family.ipv4, false, ['10.0.0.0/8'])
    const id = send(proxied(client, connectPacket(7)), PROXY).subarray(8)
    const answer = send(proxied(client, announcePacket(id, 8, { numWant: 3 })), PROXY)
    t.equal(answer.toString('hex', 0, 8), '0000000100000008', 'the answer has no header')
    t.equal(answer.length, 20 + 3 * (family === Family.ipv4 ? 6 : 18))
    t.equal(asked[0]?.[FAMILY], family)
    const address = Buffer.alloc(16)
    address.set(client)
    t.same(asked[0]?.subarray(ADDRESS, ADDRESS + 16), address)
    const other = proxied(Buffer.of(203, 0, 113, 6), announcePacket(id, 9))
    t.equal(send(other, PROXY).length, 0, 'a connection id is good for its client only')
  })
}

t.test('the header of an untrusted sender is ignored', async t => {
  const { send, counted } = listener(Family.ipv4, false, ['10.0.0.0/8'])
  t.equal(send(proxied(CLIENT, connectPacket(7))).length, 0)
  t.equal(counted(UdpCounter.garbage), 1)
  t.equal(send(connectPacket(7)).length, 16, 'who comes straight is served as ever')
  t.equal(send(connectPacket(7), PROXY).length, 16, 'the proxy itself too')
})

t.test('the header is ignored where it is not enabled', async t => {
  const { send, counted } = listener(Family.ipv4)
  t.equal(send(proxied(CLIENT, connectPacket(7)), PROXY).length, 0)
  t.equal(counted(UdpCounter.garbage), 1)
})

t.test('every truncated packet behind a proxy is handled, and only one header is read', async t => {
  const { send, asked } = listener(Family.ipv4, false, ['10.0.0.0/8', '203.0.113.0/24'])
  const whole = proxied(CLIENT, announcePacket(NO_ID, 1))
  for (let bytes = 0; bytes < whole.length; bytes++) {
    t.equal(send(whole.subarray(0, bytes), PROXY).length, 0)
  }
  t.equal(send(proxied(CLIENT, proxied(CLIENT6, connectPacket(1))), PROXY).length, 0)
  t.equal(asked.length, 0)
})

t.test('the client address is at its offset in the header', async t => {
  const trusted = [{ bytes: new Uint8Array(PROXY), bits: 32 }]
  const memory = bytesOf(new Uint8Array(128))
  const sender = { at: 100, bytes: 4 }
  memory.u8.set(PROXY, sender.at)
  memory.u8.set(proxied(CLIENT, Buffer.alloc(0)), 3)
  const ipv4 = proxiedClientAt(trusted, memory, 3, 38, sender)
  t.same(Buffer.from(memory.u8.slice(ipv4, ipv4 + 4)), CLIENT)
  t.equal(isIpv4Client(3, ipv4), true)
  memory.u8.set(proxied(CLIENT6, Buffer.alloc(0)), 3)
  const ipv6 = proxiedClientAt(trusted, memory, 3, 38, sender)
  t.same(Buffer.from(memory.u8.slice(ipv6, ipv6 + 16)), CLIENT6)
  t.equal(isIpv4Client(3, ipv6), false)
  t.equal(proxiedClientAt(trusted, memory, 3, 37, sender), -1, 'too short')
})
