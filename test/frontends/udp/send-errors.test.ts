import t from 'tap'
import {
  createConnectionSecret,
  writeConnectionId,
} from '../../../src/frontends/udp/connection-id.ts'
import { createUdpCounters, readCount, UdpCounter } from '../../../src/frontends/udp/counters.ts'
import { createBatch, senderAt } from '../../../src/frontends/udp/mmsg.ts'
import { createControl, receiveLoop, stopLoops } from '../../../src/frontends/udp/receive-loop.ts'
import { ADDRESS_BYTES, type UdpService } from '../../../src/frontends/udp/respond.ts'
import {
  closeUdpSocket,
  openUdpSocket,
  SOCKADDR_ADDRESS,
  SOCKADDR_PORT,
  type UdpSocket,
} from '../../../src/frontends/udp/socket.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { announcePacket } from './fixtures/packets.ts'
import { senderFor } from './fixtures/sender.ts'

const REQUESTS = 6
const NOW = 1_700_000_000

/** A sender's address as no client of a test can have it: where it lies in its sockaddr, and its bytes. */
type Unsendable = {
  readonly name: string
  readonly host: string
  readonly at: number
  readonly bytes: Buffer
}

const UNSENDABLE: readonly Unsendable[] = [
  { name: 'port 0', host: '127.0.0.1', at: SOCKADDR_PORT, bytes: Buffer.alloc(2) },
  { name: 'port 0', host: '::1', at: SOCKADDR_PORT, bytes: Buffer.alloc(2) },
  {
    name: 'the broadcast address',
    host: '127.0.0.1',
    at: SOCKADDR_ADDRESS[0],
    bytes: Buffer.alloc(4, 0xff),
  },
  {
    name: 'a mapped IPv4 address',
    host: '::1',
    at: SOCKADDR_ADDRESS[1],
    bytes: Buffer.from(`${'00'.repeat(10)}ffff7f000001`, 'hex'),
  },
]

/** A connection id for the loopback address of the socket's family. */
function connectionId(secret: UdpService['secret'], { family, host }: UdpSocket): Buffer {
  const text = host === '::1' ? `${'00'.repeat(15)}01` : '7f000001'
  const { view } = bytesOf(Buffer.from(text, 'hex'))
  const id = Buffer.alloc(8)
  writeConnectionId(secret, view, 0, ADDRESS_BYTES[family], NOW, bytesOf(id).view, 0)
  return id
}

for (const { name, host, at, bytes } of UNSENDABLE) {
  for (const failing of [[2], [0], [REQUESTS - 1], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]) {
    const which = `${failing.length} of ${REQUESTS} replies from ${failing[0]} on`
    t.test(`${host}: ${which} to ${name} fail, and the others are sent`, async t => {
      const socket = openUdpSocket({ host, port: 0, receiveBufferBytes: 0, sendBufferBytes: 0 })
      t.teardown(() => closeUdpSocket(socket))
      const sender = senderFor(t, host, socket.port, REQUESTS)
      const secret = createConnectionSecret()
      const id = connectionId(secret, socket)
      for (let n = 0; n < REQUESTS; n++) sender.add(announcePacket(id, n, { numWant: n }))
      t.equal(sender.flush(), REQUESTS)

      const control = createControl()
      const counters = createUdpCounters()
      // Laid out as the loop's own, whose memory `answer` is given to write replies to.
      const layout = createBatch(socket.family, REQUESTS)
      let answered = 0
      const service: UdpService = {
        pathRules: { keys: false, users: false },
        trustedProxies: [],
        rules: { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false },
        secret,
        counters,
        nowSeconds: () => NOW,
        answer(request, requestAt, reply, replyAt) {
          const sockaddr = senderAt(layout, answered) - layout.addressAt
          if (failing.includes(answered)) reply.u8.set(bytes, sockaddr + at)
          answered++
          if (answered === REQUESTS) stopLoops(control)
          return cannedAnswer(request, requestAt, reply, replyAt)
        },
      }
      receiveLoop(socket, service, control, REQUESTS)

      const transactionIds: number[] = []
      sender.take(reply => {
        const transactionId = reply.readUInt32BE(4)
        transactionIds.push(transactionId)
        t.equal(reply.length, 20 + transactionId * (host === '::1' ? 18 : 6), 'whole')
      })
      const whole = Array.from({ length: REQUESTS }, (_, n) => n).filter(n => !failing.includes(n))
      t.same(transactionIds, whole)
      const counted = (counter: UdpCounter) => readCount(counters, socket.family, counter)
      t.equal(counted(UdpCounter.announce), REQUESTS)
      t.equal(counted(UdpCounter.sendFailed), failing.length)
      t.equal(counted(UdpCounter.sent), whole.length)
    })
  }
}
