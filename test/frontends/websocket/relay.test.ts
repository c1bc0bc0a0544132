import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ClientAddresses } from '../../../src/frontends/websocket/client-addresses.ts'
import { RELAY_FRAME_BYTES_MAX } from '../../../src/frontends/websocket/limits.ts'
import { Relay, type Relayed } from '../../../src/frontends/websocket/relay.ts'
import {
  startWorkerRelay,
  type WorkerTransport,
} from '../../../src/frontends/websocket/worker-relay.ts'
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../../src/link/frame.ts'
import { temporaryFolder } from '../../fixtures/start-tracker.ts'

type Inbox = {
  relay: Relay
  addresses: ClientAddresses
  transport: WorkerTransport
  received: Relayed[]
  got(count: number): Promise<void>
}

function messageTo(worker: number, text: string): Relayed {
  return {
    worker,
    socket: 7,
    infoHash: 'h'.repeat(20),
    peerId: '\xff'.repeat(20),
    text,
    offer: { worker: 1, socket: 3, peerId: 'p'.repeat(20), offerId: 'o', address: 'a' },
  }
}

async function relayOf(t: Test, worker: number, folder: string): Promise<Inbox> {
  const received: Relayed[] = []
  let look = () => {}
  const deliver = (message: Relayed) => {
    received.push(message)
    look()
  }
  const relay = new Relay(worker, deliver)
  const pathOf = (number: number) => join(folder, `${number}.sock`)
  const addresses = new ClientAddresses()
  const transport = await startWorkerRelay({ worker, pathOf, deliver, counts: addresses })
  relay.add(transport)
  t.teardown(() => relay.close())
  return {
    relay,
    received,
    addresses,
    transport,
    got: count =>
      new Promise(resolve => {
        look = () => {
          if (received.length >= count) resolve()
        }
        look()
      }),
  }
}

t.test(
  'messages reach their worker complete and in order; those to its own sockets do not leave it',
  async t => {
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
  },
)

t.test('without a transport only this process is reached', async t => {
  const received: Relayed[] = []
  const relay = new Relay(0, message => received.push(message))
  t.ok(relay.send(messageTo(0, 'here')))
  t.notOk(relay.send(messageTo(1, 'there')))
  t.same(received, [messageTo(0, 'here')])
  await relay.close()
})

t.test('messages to a dead worker are dropped, and a restarted one is found', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  one.relay.send(messageTo(2, 'lost'))
  const two = await relayOf(t, 2, folder)
  // Messages are lost until the first connection attempt has failed.
  while (two.received.length === 0) {
    one.relay.send(messageTo(2, 'found'))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.match(two.received[0], { text: 'found' })
  await two.relay.close()
  t.notOk(existsSync(join(folder, '2.sock')))
})

t.test('memory stays bounded while another worker does not read', async t => {
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

t.test('a malformed frame closes the connection', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  const frameOf = (payload: number[], length = FRAME_HEADER_BYTES + payload.length) => {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length)
    writeFrameHeader(new DataView(bytes.buffer), length, 0, 1)
    bytes.set(payload, FRAME_HEADER_BYTES)
    return bytes
  }
  for (const malformed of [
    Buffer.alloc(FRAME_HEADER_BYTES, 0x47),
    frameOf([], RELAY_FRAME_BYTES_MAX + 1),
    frameOf([0xc1]),
    frameOf([0x07]),
    frameOf([0x93, 0x01, 0x02, 0x03]),
  ]) {
    const socket = connect(join(folder, '1.sock'))
    socket.write(malformed)
    await new Promise(resolve => socket.once('close', resolve))
  }
  t.same(one.received, [])
})

t.test('another transport carries messages to the workers that it reaches', async t => {
  const here: string[] = []
  const carried: string[] = []
  let isClosed = false
  const relay = new Relay(1, ({ text }) => here.push(text))
  relay.add({
    reaches: worker => worker >= 100,
    send: ({ text }) => carried.push(text) < 3,
    async close() {
      isClosed = true
    },
  })
  t.ok(relay.send(messageTo(1, 'local')))
  t.ok(relay.send(messageTo(100, 'first')))
  t.ok(relay.send(messageTo(101, 'second')))
  t.notOk(relay.send(messageTo(100, 'refused by the transport')))
  t.notOk(relay.send(messageTo(2, 'reached by no transport')))
  t.same(here, ['local'])
  t.same(carried, ['first', 'second', 'refused by the transport'])
  await relay.close()
  t.ok(isClosed)
})

t.test('workers report the sockets of an address to each other, and forget a dead one', async t => {
  const folder = temporaryFolder(t)
  const one = await relayOf(t, 1, folder)
  const isFull = ({ addresses }: Inbox) => addresses.isFull('a', 100)
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
  }
  for (let n = 0; n < 60; n++) one.addresses.add('a')
  const two = await relayOf(t, 2, folder)
  for (let n = 0; n < 40; n++) {
    two.addresses.add('a')
    const count = two.addresses.change('a')
    if (count) two.transport.share(count)
  }
  await until(() => isFull(one) && isFull(two))
  two.addresses.remove('a')
  two.transport.share(['a', 39])
  await until(() => !isFull(one))
  two.transport.share(['a', 40])
  await until(() => isFull(one))
  await two.relay.close()
  await until(() => !isFull(one))
})
