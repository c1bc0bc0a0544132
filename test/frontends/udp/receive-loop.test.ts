import t from 'tap'
import { createConnectionSecret } from '../../../src/frontends/udp/connection-id.ts'
import { createUdpCounters, UdpCounter } from '../../../src/frontends/udp/counters.ts'
import { createControl, receiveLoop, stopLoops } from '../../../src/frontends/udp/receive-loop.ts'
import { Family } from '../../../src/protocol/announce-record.ts'
import { testBehaviour } from './fixtures/behaviour.ts'
import { cannedAnswer, peerOf } from './fixtures/canned-answer.ts'
import { type Client, openClient } from './fixtures/client.ts'
import { listenMmsg } from './fixtures/listeners.ts'
import { announcePacket, readAnnounceAnswer } from './fixtures/packets.ts'

testBehaviour(listenMmsg)

/**
 * Keeps `window` announces on the way until `total` are answered; rejects an answer that is not as
 * the canned engine made it.
 */
async function announceMany(client: Client, total: number, window: number): Promise<void> {
  const id = await client.connect()
  const expected = new Map<number, Buffer>()
  let sent = 0
  const send = (): void => {
    const numWant = sent % 73
    const peers = Array.from({ length: numWant }, (_, n) => peerOf(n, Family.ipv4))
    expected.set(sent, Buffer.concat(peers))
    client.send(announcePacket(id, sent++, { numWant }))
  }
  await new Promise<void>((resolve, reject) => {
    let answered = 0
    client.socket.on('message', bytes => {
      const transactionId = bytes.readUInt32BE(4)
      const peers = expected.get(transactionId)
      expected.delete(transactionId)
      if (!peers?.equals(readAnnounceAnswer(bytes).peers)) {
        reject(new Error(`answer ${transactionId}: ${bytes.toString('hex')}`))
      }
      if (++answered === total) resolve()
      else if (sent < total) send()
    })
    for (let n = 0; n < Math.min(window, total); n++) send()
  })
}

t.test('forced garbage collections in the midst of batches leave every answer whole', async t => {
  const listener = await listenMmsg(t, '127.0.0.1', { batchSize: 64, collectEvery: 20 })
  const clients = await Promise.all([1, 2].map(() => openClient(t, listener)))
  await Promise.all(clients.map(client => announceMany(client, 5000, 32)))
  t.equal(listener.counted(UdpCounter.announce), 10_000)
})

t.test('two threads on one port serve clients with each other’s connection ids', async t => {
  const listener = await listenMmsg(t, '127.0.0.1', { threads: 2 })
  const clients: Client[] = []
  for (let n = 0; n < 32; n++) clients.push(await openClient(t, listener))
  const [first] = clients as [Client]
  const id = await first.connect()
  const answers = await Promise.all(clients.map(({ ask }, n) => ask(announcePacket(id, n))))
  t.same(
    answers.map(answer => [answer.readUInt32BE(0), answer.readUInt32BE(4)]),
    clients.map((_, n) => [1, n]),
  )
  t.equal(await listener.stop(), 0)
})

t.test('a loop that is told to stop before it starts returns at once', async t => {
  const control = createControl()
  stopLoops(control)
  const socket = { fd: -1, family: Family.ipv4, host: '', port: 0 }
  receiveLoop({ ...socket, receiveBufferBytes: 0, sendBufferBytes: 0 }, service(), control)
  t.pass('it did')
})

t.test('a loop whose descriptor is no socket says so instead of spinning', async t => {
  const socket = { fd: -1, family: Family.ipv4, host: '', port: 0 }
  t.throws(
    () =>
      receiveLoop(
        { ...socket, receiveBufferBytes: 0, sendBufferBytes: 0 },
        service(),
        createControl(),
      ),
    { message: 'recvmmsg EBADF' },
  )
})

function service() {
  return {
    answer: cannedAnswer,
    rules: { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false },
    secret: createConnectionSecret(),
    pathRules: { keys: false, users: false },
    trustedProxies: [],
    nowSeconds: () => 0,
    counters: createUdpCounters(),
  }
}
