import t from 'tap'
import { createUdpCounters } from '../../../src/counters/udp.ts'
import { createControl, receiveLoop, stopLoops } from '../../../src/frontends/udp/receive-loop.ts'
import { Family } from '../../../src/protocol/records.ts'
import { createConnectionSecret } from '../../../src/protocol/udp/connection-id.ts'
import { testBehaviour } from './fixtures/behaviour.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { type Client, openClient } from './fixtures/client.ts'
import { listenMmsg } from './fixtures/listeners.ts'
import { announcePacket } from './fixtures/packets.ts'

testBehaviour(listenMmsg)

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
