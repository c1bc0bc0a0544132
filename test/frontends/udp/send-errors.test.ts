import t, { type Test } from 'tap'
import { createUdpCounters, readCount, UdpCounter } from '../../../src/counters/udp.ts'
import { createBatch, senderAt } from '../../../src/frontends/udp/mmsg.ts'
import {
  createControl,
  interrupt,
  receiveLoop,
  roundsOf,
} from '../../../src/frontends/udp/receive-loop.ts'
import { ADDRESS_BYTES, type UdpService } from '../../../src/frontends/udp/respond.ts'
import { closeUdpSocket, openUdpSocket, type UdpSocket } from '../../../src/frontends/udp/socket.ts'
import { SOCKADDR_ADDRESS, SOCKADDR_PORT } from '../../../src/native/linux.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import {
  createConnectionSecret,
  writeConnectionId,
} from '../../../src/protocol/udp/connection-id.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { announcePacket } from './fixtures/packets.ts'
import { createSecrets } from './fixtures/secrets.ts'
import { senderFor } from './fixtures/sender.ts'

const REQUESTS = 6
const NOW = 1_700_000_000
/** Of BLOCK_MILLIS_MAX each. */
const WAITS_MAX = 40

/**
 * A sender's address as no client of a test can have it: where it lies in its sockaddr, and its
 * bytes.
 */
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
  const address = { view, at: 0, bytes: ADDRESS_BYTES[family] }
  writeConnectionId(secret, address, NOW, bytesOf(id).view, 0)
  return id
}

/**
 * Has a loop answer REQUESTS announces, those of `failing` to an address that nothing can be sent
 * to, and returns the transaction ids of the replies that came, and the loop's counts. Undefined
 * where the requests did not come as one batch.
 */
function answerBatch(t: Test, { host, at, bytes }: Unsendable, failing: readonly number[]) {
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
  const layout = createBatch(socket, REQUESTS)
  const rounds = new Set<number>()
  let answered = 0
  const service: UdpService = {
    rules: {
      announce: { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false },
      pathRules: { keys: false, users: false },
      failures: STANDARD_ANSWERS,
      trustedProxies: [],
    },
    ...createSecrets(secret),
    counters,
    nowSeconds: () => NOW,
    answer(request, requestAt, reply, replyAt) {
      const sockaddr = senderAt(layout, answered) - layout.addressAt
      if (failing.includes(answered)) reply.u8.set(bytes, sockaddr + at)
      answered++
      rounds.add(roundsOf(control))
      if (answered === REQUESTS) interrupt(control)
      return cannedAnswer(request, requestAt, reply, replyAt)
    },
  }
  receiveLoop(socket, service, control, { batchSize: REQUESTS })
  if (rounds.size > 1) return undefined

  const sent = readCount(counters, socket.family, UdpCounter.sent)
  const transactionIds: number[] = []
  const read = (reply: Buffer) => {
    const transactionId = reply.readUInt32BE(4)
    transactionIds.push(transactionId)
    t.equal(reply.length, 20 + transactionId * (host === '::1' ? 18 : 6), 'whole')
  }
  for (let waits = 0; transactionIds.length < sent && waits < WAITS_MAX; waits++) sender.wait(read)
  sender.take(read)
  return {
    transactionIds,
    announces: readCount(counters, socket.family, UdpCounter.announce),
    sendFailed: readCount(counters, socket.family, UdpCounter.sendFailed),
    sent,
  }
}

for (const unsendable of UNSENDABLE) {
  for (const failing of [[2], [0], [REQUESTS - 1], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]) {
    const { host, name } = unsendable
    const which = `${failing.length} of ${REQUESTS} replies from ${failing[0]} on`
    t.test(`${host}: ${which} to ${name} fail, and the others are sent`, async t => {
      let outcome: ReturnType<typeof answerBatch>
      // A busy kernel brings what was sent in parts.
      for (let tries = 0; tries < 20 && !outcome; tries++) {
        outcome = answerBatch(t, unsendable, failing)
      }
      const whole = Array.from({ length: REQUESTS }, (_, n) => n).filter(n => !failing.includes(n))
      t.same(outcome, {
        transactionIds: whole,
        announces: REQUESTS,
        sendFailed: failing.length,
        sent: whole.length,
      })
    })
  }
}
