import t, { type Test } from 'tap'
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
import { closeUdpSocket, openUdpSocket, type UdpSocket } from '../../../src/frontends/udp/socket.ts'
import { Errno, SOCKADDR_BYTES, SOCKADDR_FAMILY, SOCKADDR_PORT } from '../../../src/native/linux.ts'
import { PACKET_AT, UDP_REQUEST_BYTES_MAX } from '../../../src/protocol/udp/packet.ts'

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

const WAITS_MAX = 40

/**
 * Receives until `count` datagrams came, and returns what `read` made of each and how many came
 * with each call: a busy kernel brings what was sent a moment later, or in parts.
 */
function receiveAll<Read>(batch: Batch, fd: number, count: number, read: (n: number) => Read) {
  const all: Read[] = []
  const calls: number[] = []
  for (let waits = 0; all.length < count; ) {
    const came = receive(batch, fd)
    if (came === -Errno.EAGAIN && ++waits < WAITS_MAX) continue
    if (came < 0) throw new Error(`${all.length} of ${count} came, then error ${-came}`)
    for (let n = 0; n < came; n++) all.push(read(n))
    calls.push(came)
  }
  return { all, calls }
}

for (const host of HOSTS) {
  t.test(`${host}: datagrams go out and come in by the batch`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from, 5)
    const inward = createBatch(to, 3)
    const texts = ['a', '', 'ccc', 'x'.repeat(1400), 'last']
    for (const [n, text] of texts.entries()) write(out, from, n, to.port, Buffer.from(text))
    let calls: readonly number[] = []
    // Until all of them lie there when the first call begins.
    for (let tries = 0; tries < 20 && calls.join() !== '3,2'; tries++) {
      t.equal(send(out, from.fd, 5), 5)
      const came = receiveAll(inward, to.fd, 5, n => received(inward, n))
      t.same(came.all, texts)
      calls = came.calls
    }
    t.same(calls, [3, 2], 'what did not fit comes with the next call')
    const address = inward.memory.u8.slice(senderAt(inward, 0))
    t.same(address.subarray(0, OWN_ADDRESS[to.family].length), OWN_ADDRESS[to.family])

    const reply = Buffer.from('back')
    inward.memory.u8.set(reply, replyAt(inward, 0) + PACKET_AT)
    addressReply(inward, 0, 1, reply.length)
    t.equal(send(inward, to.fd, 1), 1)
    const back = receiveAll(out, from.fd, 1, n => received(out, n))
    t.same(back.all, ['back'], 'a reply finds the sender of the datagram it is for')
  })

  t.test(`${host}: a reply that cannot be sent does not keep back the others`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from, 5)
    const inward = createBatch(to, 5)
    for (const [n, port] of [0, to.port, 0, 0, to.port].entries()) {
      write(out, from, n, port, Buffer.of(65 + n))
    }
    t.equal(send(out, from.fd, 5), 2)
    t.same(receiveAll(inward, to.fd, 2, n => received(inward, n)).all, ['B', 'E'])
  })

  t.test(`${host}: a datagram longer than any request is marked`, async t => {
    const from = open(t, host)
    const to = open(t, host)
    const out = createBatch(from, 2)
    const inward = createBatch(to, 2)
    write(out, from, 0, to.port, Buffer.alloc(UDP_REQUEST_BYTES_MAX, 'm'))
    t.equal(send(out, from.fd, 1), 1)
    write(out, from, 0, to.port, Buffer.alloc(UDP_REQUEST_BYTES_MAX + 1, 'm'))
    t.equal(send(out, from.fd, 1), 1)
    const look = (n: number) => [requestBytes(inward, n), isTruncated(inward, n)]
    t.same(receiveAll(inward, to.fd, 2, look).all, [
      [UDP_REQUEST_BYTES_MAX, false],
      [UDP_REQUEST_BYTES_MAX, true],
    ])
  })

  t.test(`${host}: waiting ends when nothing comes`, async t => {
    const socket = open(t, host)
    t.equal(receive(createBatch(socket, 1), socket.fd), -Errno.EAGAIN)
  })
}

t.test('an invalid descriptor is an error', async t => {
  t.equal(receive(createBatch({ family: 0, isWildcard: false }, 1), -1), -Errno.EBADF)
})
