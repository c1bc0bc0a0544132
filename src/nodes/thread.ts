import { parentPort, workerData } from 'node:worker_threads'
import { unixSeconds } from '../clock.ts'
import { openDeltaRing } from '../engine/delta-ring.ts'
import { openEngine, setRules } from '../engine/engine.ts'
import { NODES_THREAD, relayPathIn, startWorkerRelay } from '../frontends/websocket/worker-relay.ts'
import { nameThread } from '../native/thread-name.ts'
import { Exchange } from './exchange.ts'
import { HEARTBEAT_MILLIS } from './members.ts'
import type { FromNodesThread, Log, NodesThreadStart, ToNodesThread } from './messages.ts'
import { connectNats } from './nats.ts'

/** Entry of the nodes thread, which exchanges with the other nodes what clients announce. */

/** Longest that an announce waits before it is sent. */
const FLUSH_MILLIS = 20
const STATE_MILLIS = 500

const start = workerData as NodesThreadStart
nameThread('nodes')
const nowSeconds = () => unixSeconds(start.clockOffset)
const engine = openEngine(start.tables, start.settings)

const post = (message: FromNodesThread) => parentPort?.postMessage(message)
const log: Log = (level, fields, message) => post({ type: 'log', level, fields, message })

/** The nodes thread has no sockets of clients to count. */
const counts = { shared: () => [], report() {}, forget() {} }
const workers = await startWorkerRelay({
  worker: NODES_THREAD,
  pathOf: relayPathIn(start.folder),
  deliver: message => exchange.relay(message),
  counts,
})

const bus = connectNats(start.nats, {
  up(server) {
    log('info', { server }, 'connected to NATS')
    exchange.connected()
  },
  down: reason => log('warn', { reason }, 'not connected to NATS; this node continues alone'),
  trouble: reason => log('error', { reason }, 'NATS reports an error'),
})
const exchange = new Exchange({
  ...start,
  bus,
  engine,
  rings: start.rings.map(openDeltaRing),
  nowSeconds,
  log,
  onChange: change => post({ type: 'change', change }),
  onMissed: () => post({ type: 'missed' }),
  deliver: message => workers.send(message),
})
exchange.digest = start.digest

const timers = [
  setInterval(() => {
    Atomics.add(start.rounds, 0, 1)
    exchange.flush()
  }, FLUSH_MILLIS),
  setInterval(() => exchange.beat(), HEARTBEAT_MILLIS),
  setInterval(() => post({ type: 'state', state: exchange.state() }), STATE_MILLIS),
]

parentPort?.on('message', async (message: ToNodesThread) => {
  if (message.type === 'restored') exchange.restored(message.since)
  else if (message.type === 'change') exchange.publishChange(message.change)
  else if (message.type === 'rules') {
    setRules(engine, start.tables, message.rules)
    exchange.rulesChanged(message.digest)
  } else {
    for (const timer of timers) clearInterval(timer)
    exchange.flush()
    await Promise.all([bus.close(), workers.close()])
    process.exit(0)
  }
})
