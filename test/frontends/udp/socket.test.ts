import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { closeUdpSocket, openUdpSocket } from '../../../src/frontends/udp/socket.ts'
import { Family } from '../../../src/protocol/records.ts'

const ANY = { port: 0, receiveBufferBytes: 0, sendBufferBytes: 0 }

t.test('a socket has the family of its address and the port that the kernel chose', async t => {
  for (const [host, family] of [
    ['127.0.0.1', Family.ipv4],
    ['::1', Family.ipv6],
  ] as const) {
    const socket = openUdpSocket({ ...ANY, host })
    t.teardown(() => closeUdpSocket(socket))
    t.equal(socket.family, family)
    t.equal(socket.host, host)
    t.ok(socket.port > 0)
  }
})

t.test('the sockets of several threads share one address', async t => {
  const first = openUdpSocket({ ...ANY, host: '127.0.0.1' })
  t.teardown(() => closeUdpSocket(first))
  const second = openUdpSocket({ ...ANY, host: '127.0.0.1', port: first.port })
  t.teardown(() => closeUdpSocket(second))
  t.equal(second.port, first.port)
  t.not(second.fd, first.fd)
})

t.test('an IPv6 socket leaves the same port of IPv4 free', async t => {
  let isFree = false
  // Of a few ports that the kernel chooses, others can have some over IPv4.
  for (let tries = 0; tries < 10 && !isFree; tries++) {
    const ipv6 = openUdpSocket({ ...ANY, host: '::' })
    const ipv4 = createSocket('udp4')
    ipv4.bind({ port: ipv6.port, address: '0.0.0.0', exclusive: true })
    isFree = await once(ipv4, 'listening').then(
      () => true,
      () => false,
    )
    ipv4.close()
    closeUdpSocket(ipv6)
  }
  t.ok(isFree)
})

t.test('an address in use is named', async t => {
  const taken = createSocket('udp4')
  t.teardown(() => taken.close())
  taken.bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address()
  t.throws(() => openUdpSocket({ ...ANY, host: '127.0.0.1', port }), {
    message: `bind EADDRINUSE udp 127.0.0.1:${port}`,
    code: 'EADDRINUSE',
  })
})

t.test('an address that is not one of this machine is named', async t => {
  t.throws(() => openUdpSocket({ ...ANY, host: '2001:db8::1', port: 1 }), {
    message: 'bind EADDRNOTAVAIL udp [2001:db8::1]:1',
    code: 'EADDRNOTAVAIL',
  })
  t.throws(() => openUdpSocket({ ...ANY, host: 'localhost' }), {
    message: 'not an IP address: localhost',
  })
})

t.test('the buffers that the kernel granted are reported', async t => {
  const plain = openUdpSocket({ ...ANY, host: '127.0.0.1' })
  t.teardown(() => closeUdpSocket(plain))
  t.ok(plain.receiveBufferBytes > 0)
  t.ok(plain.sendBufferBytes > 0)
  const small = { receiveBufferBytes: 65_536, sendBufferBytes: 32_768 }
  const socket = openUdpSocket({ ...ANY, ...small, host: '127.0.0.1' })
  t.teardown(() => closeUdpSocket(socket))
  t.match(socket, small)
})
