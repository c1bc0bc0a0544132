import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { RELAY_FRAME_BYTES_MAX } from '../../../src/frontends/websocket/limits.ts'
import { type Relay, type Relayed, startRelay } from '../../../src/frontends/websocket/relay.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'

type Inbox = { relay: Relay; received: Relayed[]; got(count: number): Promise<void> }

function messageTo(worker: number, text: string): Relayed {
  return {
    worker,
    socket: 7,
    infoHash: 'h'.repeat(20),
    peerId: '\xff'.repeat(20),
    text,
    offer: { worker: 1, socket: 3, peerId: 'p'.repeat(20), offerId: 'o' },
  }
}

async function relayOf(t: Test, worker: number, folder: string): Promise<Inbox> {
  const received: Relayed[] = []
  let look = () => {}
  const relay = await startRelay({
    worker,
    pathOf: number => join(folder, `${number}.sock`),
    deliver(message) {
      received.push(message)
      look()
    },
  })
  t.teardown(() => relay.close())
  return {
    relay,
    received,
    got: count =>
      new Promise(resolve => {
        look = () => {
          if (received.length >= count) resolve()
        }
        look()
      }),
  }
}

t.test('messages reach their worker whole and in order, the own one without a detour', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  const two = await relayOf(t, 2, folder)
  const texts = Array.from({ length: 500 }, (_, n) => `${n} `.repeat(n))
  for (const text of texts) t.ok(one.relay.send(messageTo(2, text)))
  await two.got(500)
  t.same(
    two.received,
    texts.map(text => messageTo(2, text)),
  )
  one.relay.send(messageTo(1, 'to itself'))
  t.same(one.received, [messageTo(1, 'to itself')])
  two.relay.send(messageTo(1, 'and back'))
  await one.got(2)
})

t.test('a process without workers knows itself alone', async t => {
  const received: Relayed[] = []
  const relay = await startRelay({
    worker: 0,
    pathOf: undefined,
    deliver: message => received.push(message),
  })
  t.ok(relay.send(messageTo(0, 'here')))
  t.notOk(relay.send(messageTo(1, 'there')))
  t.same(received, [messageTo(0, 'here')])
  await relay.close()
})

t.test(
  'what is for a worker that is gone is dropped, and one that comes back is found',
  async t => {
    const folder = temporaryFolder(t)
    const one = await relayOf(t, 1, folder)
    one.relay.send(messageTo(2, 'nobody'))
    const two = await relayOf(t, 2, folder)
    // Until its connection to nobody has failed, messages go the same way.
    while (two.received.length === 0) {
      one.relay.send(messageTo(2, 'somebody'))
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    t.match(two.received[0], { text: 'somebody' })
    await two.relay.close()
    t.notOk(existsSync(join(folder, '2.sock')))
  },
)

t.test('a worker that reads nothing makes nobody’s memory grow', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  const server = createServer(socket => {
    socket.pause()
    t.teardown(() => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(join(folder, '2.sock'), resolve))
  t.teardown(() => server.close())
  const text = 'x'.repeat(100_000)
  let sent = 0
  while (one.relay.send(messageTo(2, text)) && sent < 10_000) sent++
  t.ok(sent < 1000, `${sent} messages, then they are dropped`)
})

t.test('nonsense on the socket closes it', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  const head = (length: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(length)
    return bytes
  }
  for (const nonsense of [
    head(RELAY_FRAME_BYTES_MAX + 1),
    Buffer.concat([head(1), Buffer.from([0xc1])]),
    Buffer.concat([head(1), Buffer.from([0x07])]),
    Buffer.concat([head(4), Buffer.from([0x93, 0x01, 0x02, 0x03])]),
  ]) {
    const socket = connect(join(folder, '1.sock'))
    socket.write(nonsense)
    await new Promise(resolve => socket.once('close', resolve))
  }
  t.same(one.received, [])
})
