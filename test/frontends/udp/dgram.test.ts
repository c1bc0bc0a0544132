import t from 'tap'
import { createUdpCounters } from '../../../src/counters/udp.ts'
import { startDgramServer } from '../../../src/frontends/udp/dgram.ts'
import { createConnectionSecret } from '../../../src/protocol/udp/connection-id.ts'
import { testBehaviour } from './fixtures/behaviour.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { listenDgram } from './fixtures/listeners.ts'

testBehaviour(listenDgram)

t.test('an address in use is refused', async t => {
  const { host, port } = await listenDgram(t, '127.0.0.1')
  const service = {
    answer: cannedAnswer,
    rules: { numwantDefault: 50, numwantMaximum: 200, usePayloadIp: false },
    secret: createConnectionSecret(),
    pathRules: { keys: false, users: false },
    trustedProxies: [],
    nowSeconds: () => 0,
    counters: createUdpCounters(),
  }
  const options = { host, port, receiveBufferBytes: 0, sendBufferBytes: 0 }
  await t.rejects(startDgramServer(options, service), { code: 'EADDRINUSE' })
})
