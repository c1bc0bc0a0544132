import t from 'tap'
import { NO_RULES } from '../../src/engine/access.ts'
import { createTables, openEngine } from '../../src/engine/engine.ts'
import type { Relayed } from '../../src/frontends/websocket/relay.ts'
import { NODE_COUNTERS, type NodeCounters } from '../../src/nodes/messages.ts'
import {
  RELAY_BYTES_MAX,
  readRelayMessage,
  writeRelayMessage,
} from '../../src/nodes/relay-message.ts'
import { RemoteSockets } from '../../src/nodes/remote-sockets.ts'
import { SocketRelay } from '../../src/nodes/socket-relay.ts'
import { workerOfNode } from '../../src/protocol/connection.ts'
import { NODE_SETTINGS } from '../fixtures/engine-node.ts'
import { fc } from '../fixtures/seed.ts'
import { MemoryHub } from './fixtures/memory-bus.ts'

function startRelay() {
  const engine = openEngine(createTables(16 * 2 ** 20, NO_RULES), NODE_SETTINGS)
  const hub = new MemoryHub()
  const bus = hub.join()
  const counters = Object.fromEntries(NODE_COUNTERS.map(name => [name, 0])) as NodeCounters
  const sockets = new RemoteSockets(engine, () => 1_700_000_000)
  const delivered: Relayed[] = []
  let isOpen = true
  const relay = new SocketRelay({
    bus,
    name: 'a',
    epoch: 5,
    sockets,
    runOf: (node, epoch) => sockets.runOf(node, epoch),
    subjectOf: node => `relay.${node}`,
    deliver: message => isOpen && delivered.push(message) > 0,
    counters,
  })
  const received: Buffer[] = []
  hub.join().subscribe('relay.*', (_, data) => received.push(data))
  const run = sockets.runOf('b', 9)
  if (!run) throw new Error('the node has no number')
  return {
    relay,
    bus,
    counters,
    sockets,
    delivered,
    received,
    run,
    close: () => {
      isOpen = false
    },
  }
}

const message = (worker: number, address: string, text: string): Relayed => ({
  worker,
  socket: 7,
  infoHash: '\xff'.repeat(20),
  peerId: '\x80'.repeat(20),
  text,
  offer: { worker: 3, socket: 4, peerId: 'p'.repeat(20), offerId: 'o', address },
})

t.test('a flood of one address leaves the offers of others, and answers', async t => {
  const { counters, received, relay, run } = startRelay()
  const worker = workerOfNode(run.number, 1)
  const text = 'x'.repeat(10_000)
  const sent = () => counters.sentRelays
  for (let n = 0; n < 5000; n++) relay.send(message(worker, 'flood', text))
  const flood = sent()
  t.ok(flood > 300 && flood < 1000, `${flood} of 5000 offers are sent`)
  for (let n = 0; n < 200; n++) relay.send(message(worker, 'other', 'x'.repeat(2000)))
  t.equal(sent() - flood, 200, 'another address is not affected')
  for (let maker = 0; maker < 5000; maker++) relay.send(message(worker, `${maker}`, text))
  t.ok(sent() < 5000, 'all addresses together are limited')
  const before = sent()
  for (let n = 0; n < 200; n++) {
    relay.send({ ...message(worker, '', 'x'.repeat(2000)), offer: undefined })
  }
  t.equal(sent() - before, 200, 'answers are sent nevertheless')
  await new Promise(setImmediate)
  t.equal(received.length, sent())
  t.equal(counters.sentRelays + counters.excessRelays, 10_400, 'each one is counted')
})

t.test('what cannot be sent at once is dropped and counted', async t => {
  const { bus, close, counters, delivered, relay, run, sockets } = startRelay()
  const worker = workerOfNode(run.number, 1)
  relay.send(message(worker, 'a', 'x'.repeat(RELAY_BYTES_MAX)))
  t.equal(counters.refusedRelays, 1, 'a large one')
  bus.isUp = false
  for (let n = 0; n < 1000; n++) relay.send(message(worker, 'a', 'text'))
  t.equal(counters.unreachableRelays, 1000, 'while no server is connected')
  bus.isUp = true
  relay.send(message(workerOfNode(run.number + 1, 1), 'a', 'text'))
  t.equal(counters.unreachableRelays, 1001, 'for an unknown node')
  sockets.forget('b')
  relay.send(message(worker, 'a', 'text'))
  t.equal(counters.unreachableRelays, 1002, 'for a node that is silent')
  t.equal(counters.sentRelays, 0)
  const wire = (toEpoch: number) =>
    writeRelayMessage({ from: 'b', fromEpoch: 9, toEpoch, message: message(2, 'a', 'text') })
  relay.receive(wire(4))
  t.equal(counters.refusedRelays, 2, 'one for this node before its restart')
  relay.receive(wire(5))
  t.equal(counters.receivedRelays, 1)
  t.match(delivered, [{ worker: 2, socket: 7, offer: { socket: 4, address: 'a' } }])
  close()
  relay.receive(wire(5))
  t.equal(counters.excessRelays, 1, 'for a worker that does not read')
})

t.test('messages of other nodes are read as they were written, and others are refused', async t => {
  const text = fc.string({ unit: 'binary', maxLength: 200 })
  const hash = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)),
    minLength: 20,
    maxLength: 20,
  })
  const worker = fc.integer({ min: 0, max: 65_535 })
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const offer = fc.record({
    worker,
    socket: u32,
    peerId: hash,
    offerId: fc.string({ maxLength: 64 }),
    address: fc.string({ maxLength: 16 }),
  })
  const relayed = fc.record({
    from: fc.string({ maxLength: 64 }),
    fromEpoch: u32,
    toEpoch: u32,
    message: fc.record({
      worker,
      socket: u32,
      infoHash: hash,
      peerId: hash,
      text,
      offer: fc.option(offer, { nil: undefined }),
    }),
  })
  fc.assert(
    fc.property(relayed, fc.nat(), fc.integer({ min: 0, max: 255 }), (written, at, byte) => {
      const data = Buffer.from(writeRelayMessage(written))
      const read = readRelayMessage(data)
      if (JSON.stringify(read) !== JSON.stringify(written)) return false
      data[at % data.length] = byte
      const damaged = readRelayMessage(data)
      readRelayMessage(data.subarray(0, at % data.length))
      return damaged === undefined || damaged.message.worker < 65_536
    }),
    { numRuns: 200, endOnFailure: true },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
      readRelayMessage(Buffer.from(bytes))
    }),
    { numRuns: 500, endOnFailure: true },
  )
  t.pass('no message throws')
})
