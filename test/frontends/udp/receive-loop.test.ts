import t from 'tap'
import { createUdpCounters } from '../../../src/counters/udp.ts'
import { createControl, interrupt, receiveLoop } from '../../../src/frontends/udp/receive-loop.ts'
import { STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import { Family } from '../../../src/protocol/records.ts'
import { testBehaviour } from './fixtures/behaviour.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { type Client, openClient } from './fixtures/client.ts'
import { listenMmsg } from './fixtures/listeners.ts'
import { announcePacket } from './fixtures/packets.ts'
import { createSecrets } from './fixtures/secrets.ts'

testBehaviour(listenMmsg)

testBehaviour((t, host) => listenMmsg(t, host, { calls: 'recvmsg' }))

for (const calls of ['recvmmsg', 'recvmsg'] as const) {
  t.test(`${calls}: on a wildcard address each answer leaves from the address asked`, async t => {
    const listener = await listenMmsg(t, '0.0.0.0', { calls })
    const hosts = ['127.0.0.1', '127.0.0.2', '127.200.3.4']
    // Connected sockets, which receive only from the address that they send to.
    const clients = await Promise.all(hosts.map(host => openClient(t, { ...listener, host })))
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(clients.map(({ connect }) => connect()))
      t.same(
        answers.map(id => id.length),
        [8, 8, 8],
      )
    }
    const ipv6 = await listenMmsg(t, '::', { calls })
    const client = await openClient(t, { ...ipv6, host: '::1' })
    const id = await client.connect()
    t.equal((await client.ask(announcePacket(id, 1))).readUInt32BE(0), 1)
    t.equal(await listener.stop(), 0)
    t.equal(await ipv6.stop(), 0)
  })
}

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

t.test('a loop that is interrupted before it starts returns at once', async t => {
  const control = createControl()
  interrupt(control)
  const socket = { fd: -1, family: Family.ipv4, host: '', port: 0, isWildcard: false }
  receiveLoop({ ...socket, receiveBufferBytes: 0, sendBufferBytes: 0 }, service(), control)
  t.pass('it did')
})

t.test('a loop whose descriptor is not a socket throws instead of spinning', async t => {
  const socket = { fd: -1, family: Family.ipv4, host: '', port: 0, isWildcard: false }
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
    rules: {
      announce: { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false },
      pathRules: { keys: false, users: false },
      failures: STANDARD_ANSWERS,
      trustedProxies: [],
    },
    ...createSecrets(),
    nowSeconds: () => 0,
    counters: createUdpCounters(),
  }
}
