import t, { type Test } from 'tap'
import { Errno } from '../../../src/frontends/udp/libc.ts'
import {
  addressReply,
  type Batch,
  createBatch,
  isTruncated,
  receive,
  replyAt,
  requestAt,
  requestBytes,
  send,
  senderAt,
} from '../../../src/frontends/udp/mmsg.ts'
import {
  closeUdpSocket,
  openUdpSocket,
  SOCKADDR_BYTES,
  SOCKADDR_FAMILY,
  SOCKADDR_PORT,
  type UdpSocket,
} from '../../../src/frontends/udp/socket.ts'
import { PACKET_AT, UDP_REQUEST_BYTES_MAX } from '../../../src/protocol/udp-packet.ts'

const HOSTS = ['127.0.0.1', '::1'] as const
const OWN_ADDRESS = [Buffer.of(127, 0, 0, 1), Buffer.from(`${'00'.repeat(15)}01`, 'hex')] as const

function open(t: Test, host: string): UdpSocket {
  const socket = openUdpSocket({ host, port: 0, receiveBufferBytes: 0, sendBufferBytes: 0 })
  t.teardown(() => closeUdpSocket(socket))
  return socket
}

/** Makes slot `n` a packet of `bytes` to `port` of this machine. */
function write(batch: Batch, socket: UdpSocket, n: number, port: number, bytes: Uint8Array): void {
  const { u8, view } = batch.memory
  const sockaddr = senderAt(batch, n) - batch.addressAt
  u8.fill(0, sockaddr, sockaddr + SOCKADDR_BYTES[socket.family])
  view.setUint16(sockaddr + SOCKADDR_FAMILY, [2, 10][socket.family] as number, true)
  view.setUint16(sockaddr + SOCKADDR_PORT, port)
  u8.set(OWN_ADDRESS[socket.family], senderAt(batch, n))
  u8.set(bytes, replyAt(batch, n) + PACKET_AT)
  addressReply(batch, n, n, bytes.length)
}

function received(batch: Batch, n: number): string {
  const at = requestAt(batch, n)
  return Buffer.from(batch.memory.u8.slice(at, at + requestBytes(batch, n))).toString()
}

for (const host of HOSTS) {
  t.test(`${host}: datagrams go out and come in by the batch`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from.family, 5)
    const inward = createBatch(to.family, 3)
    const texts = ['a', '', 'ccc', 'x'.repeat(1400), 'last']
    for (const [n, text] of texts.entries()) write(out, from, n, to.port, Buffer.from(text))
    t.equal(send(out, from.fd, 5), 5)
    t.equal(receive(inward, to.fd), 3)
    t.same(
      [0, 1, 2].map(n => received(inward, n)),
      texts.slice(0, 3),
    )
    const address = inward.memory.u8.slice(senderAt(inward, 0))
    t.same(address.subarray(0, OWN_ADDRESS[to.family].length), OWN_ADDRESS[to.family])
    t.equal(receive(inward, to.fd), 2, 'what did not fit comes with the next call')
    t.same(
      [0, 1].map(n => received(inward, n)),
      texts.slice(3),
    )

    const reply = Buffer.from('back')
    inward.memory.u8.set(reply, replyAt(inward, 0) + PACKET_AT)
    addressReply(inward, 0, 1, reply.length)
    t.equal(send(inward, to.fd, 1), 1)
    t.equal(receive(out, from.fd), 1, 'a reply finds the sender of the datagram it is for')
    t.equal(received(out, 0), 'back')
  })

  t.test(`${host}: a reply that cannot be sent does not keep back the others`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from.family, 5)
    const inward = createBatch(to.family, 5)
    for (const [n, port] of [0, to.port, 0, 0, to.port].entries()) {
      write(out, from, n, port, Buffer.of(65 + n))
    }
    t.equal(send(out, from.fd, 5), 2)
    t.equal(receive(inward, to.fd), 2)
    t.same([received(inward, 0), received(inward, 1)], ['B', 'E'])
  })

  t.test(`${host}: a datagram longer than any request is marked`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from.family, 2)
    const inward = createBatch(to.family, 2)
    write(out, from, 0, to.port, Buffer.alloc(UDP_REQUEST_BYTES_MAX, 'm'))
    t.equal(send(out, from.fd, 1), 1)
    write(out, from, 0, to.port, Buffer.alloc(UDP_REQUEST_BYTES_MAX + 1, 'm'))
    t.equal(send(out, from.fd, 1), 1)
    t.equal(receive(inward, to.fd), 2)
    t.same([isTruncated(inward, 0), isTruncated(inward, 1)], [false, true])
    t.equal(requestBytes(inward, 1), UDP_REQUEST_BYTES_MAX)
  })

  t.test(`${host}: waiting ends when nothing comes`, async t => {
    const socket = open(t, host)
    t.equal(receive(createBatch(socket.family, 1), socket.fd), -Errno.EAGAIN)
  })
}

t.test('a descriptor that is none is an error', async t => {
  t.equal(receive(createBatch(0, 1), -1), -Errno.EBADF)
})
