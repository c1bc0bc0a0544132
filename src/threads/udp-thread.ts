import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { unixSeconds } from '../clock.ts'
import { answer } from '../engine/answer.ts'
import { openDeltaRing } from '../engine/delta-ring.ts'
import { openEngine, setRules } from '../engine/engine.ts'
import { startDgramServer } from '../frontends/udp/dgram.ts'
import { openProvenKeys } from '../frontends/udp/proven-keys.ts'
import { countRound, receiveLoop, resume } from '../frontends/udp/receive-loop.ts'
import type { UdpService } from '../frontends/udp/respond.ts'
import type { UdpSocketOptions } from '../frontends/udp/socket.ts'
import { nameThread } from '../native/thread-name.ts'
import type { FromUdpThread, ToUdpThread, UdpSource, UdpThreadStart } from './messages.ts'

/**
 * Entry of a UDP thread, which answers datagrams from the shared tables. A receive loop blocks the
 * thread; to send it a message, the main thread interrupts the loop.
 */

/** Milliseconds between two rounds that an event loop counts. */
const DGRAM_ROUND_MILLIS = 250

const start = workerData as UdpThreadStart
const engine = openEngine(start.tables, start.rules.engine.settings)
if (start.ring) engine.ring = openDeltaRing(start.ring)
engine.access.rules = start.rules.engine.access
let rules = start.rules.listener
const provenKeys = openProvenKeys(start.provenKeys, start.secret)
let now = unixSeconds(start.clockOffset)

nameThread(start.name)
if (start.source.method === 'dgram') await serveDgram(start.source.options)
else serveSocket(start.source)

/** The listener by the current rules. */
function service(): UdpService {
  return {
    answer: (request, at, reply, replyAt) => answer(engine, request, at, reply, replyAt, now),
    rules,
    secret: start.secret,
    provenKeys,
    counters: start.counters,
    nowSeconds() {
      now = unixSeconds(start.clockOffset)
      return now
    },
  }
}

function serveSocket({ method, socket }: Exclude<UdpSource, { method: 'dgram' }>): void {
  post({ type: 'receiving' })
  for (;;) {
    receiveLoop(socket, service(), start.control, { calls: method })
    // Before the messages are read: one that arrives after them interrupts the loop again.
    resume(start.control)
    for (let next = nextMessage(); next; next = nextMessage()) {
      if (next.type === 'stop') return
      applyRules(next)
    }
  }
}

function nextMessage(): ToUdpThread | undefined {
  return parentPort ? receiveMessageOnPort(parentPort)?.message : undefined
}

async function serveDgram(options: UdpSocketOptions): Promise<void> {
  const server = await startDgramServer(options, service())
  const rounds = setInterval(() => countRound(start.control), DGRAM_ROUND_MILLIS)
  parentPort?.on('message', async (message: ToUdpThread) => {
    if (message.type === 'rules') {
      applyRules(message)
      server.setService(service())
      return
    }
    clearInterval(rounds)
    parentPort?.close()
    await server.close()
  })
  post({ type: 'receiving' })
}

function applyRules(message: Extract<ToUdpThread, { type: 'rules' }>): void {
  setRules(engine, start.tables, message.rules.engine)
  rules = message.rules.listener
  post({ type: 'ruled' })
}

function post(message: FromUdpThread): void {
  parentPort?.postMessage(message)
}
