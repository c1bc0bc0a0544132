import { networkInterfaces } from 'node:os'
import t from 'tap'
import { createUdpCounters } from '../../../src/counters/udp.ts'
import { startDgramServer } from '../../../src/frontends/udp/dgram.ts'
import { STANDARD_ANSWERS } from '../../../src/protocol/failures.ts'
import { testBehaviour } from './fixtures/behaviour.ts'
import { cannedAnswer } from './fixtures/canned-answer.ts'
import { openClient } from './fixtures/client.ts'
import { listenDgram } from './fixtures/listeners.ts'
import { createSecrets } from './fixtures/secrets.ts'

testBehaviour(listenDgram)

t.test('an address in use is refused', async t => {
  const { host, port } = await listenDgram(t, '127.0.0.1')
  const service = {
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
  const options = { host, port, receiveBufferBytes: 0, sendBufferBytes: 0 }
  await t.rejects(startDgramServer(options, service), { code: 'EADDRINUSE' })
})

t.test('a wildcard address is served on each of the machine’s addresses', async t => {
  const listener = await listenDgram(t, '0.0.0.0')
  const local = Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
  )
  t.ok(local.includes('127.0.0.1'))
  for (const host of local) {
    // A connected socket receives only from the address that it sends to.
    const client = await openClient(t, { ...listener, host })
    t.equal((await client.connect()).length, 8, host)
  }
})
